/** Headers of an answer as text: lines that each end in CR LF. What writes answers depends on it. */

/** Lines as Node's `writeHead` takes them, names and values by turns. */
export function listOf(lines: string): string[] {
  const list: string[] = [];
  for (const line of lines.split('\r\n')) {
    const colon = line.indexOf(': ');
    if (colon > 0) list.push(line.slice(0, colon), line.slice(colon + 2));
  }
  return list;
}

/** Names and values by turns as lines; they must be free of control characters. */
export function linesOf(list: readonly string[]): string {
  let lines = '';
  for (let index = 0; index < list.length; index += 2) lines += `${list[index]}: ${list[index + 1]}\r\n`;
  return lines;
}
