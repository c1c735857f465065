/** Reads answers no further than they may go: whatever answers may be something else than our server. */

/** What was read of a body. */
export interface BoundedText {
  readonly text: string;
  /** False when there was more than may be. */
  readonly isWhole: boolean;
}

/** @param maxLength in characters; what comes after is not read @throws Error when the answer breaks off */
export async function boundedText({ body }: Response, maxLength: number): Promise<BoundedText> {
  if (body === null) return { text: '', isWhole: true };
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parts: string[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    const part = decoder.decode(value, { stream: !done });
    parts.push(part);
    length += part.length;
    if (length > maxLength) {
      await reader.cancel();
      return { text: parts.join('').slice(0, maxLength), isWhole: false };
    }
    if (done) return { text: parts.join(''), isWhole: true };
  }
}
