/** The order in which every backend gives documents and rows: that of UTF-8, as databases sort. */

/** That of UTF-16, as JavaScript sorts, differs beyond the basic plane. */
export function byBytes(left: string, right: string): number {
  if (left === right) return 0;
  return isAscii(left) && isAscii(right) ? (left < right ? -1 : 1) : Buffer.compare(Buffer.from(left), Buffer.from(right));
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) > 127) return false;
  return true;
}
