/** Text in columns: measured without its colours, padded, wrapped. Everything in the demo that renders text depends on it. */
import { stripVTControlCharacters } from 'node:util';

const NO_BREAK = '\u00A0';

/** Columns that a text takes: our own colours take none, and all of the demo's characters are one unit and one column wide. */
export function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - widthOf(text))) + text;
}

/** How a paragraph is set. */
export interface Setting {
  readonly columns: number;
  /** Before the first line; the following lines are indented as far. */
  readonly lead: string;
}

/** Words in lines that end before the last column. A word that is longer than a line stays whole, so that it can be copied. */
export function paragraph(text: string, { columns, lead }: Setting): readonly string[] {
  const indent = ' '.repeat(widthOf(lead));
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (line !== '' && widthOf(indent) + widthOf(joined) > columns) {
      lines.push(line);
      line = word;
    } else line = joined;
  }
  return [...lines, line].map((each, index) => (index === 0 ? lead : indent) + each.replaceAll(NO_BREAK, ' '));
}

/** The text as one word to {@link paragraph}. */
export function keepTogether(text: string): string {
  return text.replaceAll(' ', NO_BREAK);
}

/** Rows of cells, each column as wide as its widest cell; numbers to the right. */
export function columnsOf(rows: readonly (readonly string[])[], alignments: readonly ('left' | 'right')[]): readonly string[] {
  const widths = alignments.map((_, index) => Math.max(...rows.map((row) => widthOf(row[index] ?? ''))));
  return rows.map((row) =>
    row
      .map((cell, index) => (alignments[index] === 'right' ? padStart : padEnd)(cell, widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
