// A server under measurement, and the check that it answers correctly before it is measured.

const ANSWER_DEADLINE_MS = 10_000;

export interface Contestant {
  readonly name: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The processes whose CPU is counted, with all their descendants. */
  readonly pids: readonly number[];
  /** What is wrong with the answer to the sample of that index, whose status was 200; `undefined` when it is right. */
  readonly complaintAbout: (answer: unknown, sampleIndex: number) => string | undefined;
  readonly stop: () => Promise<void>;
}

/**
 * Sends every body once, as the load will send it.
 * @throws Error that quotes the first wrong answer: a fast wrong server is not a result
 */
export async function assertAnswersCorrectly(contestant: Contestant, bodies: readonly string[]): Promise<void> {
  for (const [index, body] of bodies.entries()) {
    const response = await fetch(contestant.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-user-id': `check-${index}`, ...contestant.headers },
      body,
      signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
    });
    const text = await response.text();
    const complaint = response.status === 200 ? contestant.complaintAbout(parsed(text), index) : `status ${response.status}`;
    if (complaint !== undefined) throw new Error(`${contestant.name} answers sample ${index} wrongly, ${complaint}: ${text}`);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the contestant's own check then says what it expected
  }
}
