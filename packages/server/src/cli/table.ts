/** Lists as columns without lines, narrowed until they fit. Commands that list things depend on it. */
import CliTable from 'cli-table3';
import type { Palette } from './palette.ts';
import { displayWidth, wrap } from './terminal-text.ts';

export interface TableOptions {
  readonly palette: Palette;
  /** Columns there are; cells wrap to fit. Unlimited when left out. */
  readonly width?: number;
  /** Said instead of an empty table. */
  readonly empty: string;
}

const GAP = 2;
const NARROWEST = 5;
const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

/** Rows under their headings. Absent cells show as `-`. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly (string | undefined)[])[],
  options: TableOptions,
): string {
  if (rows.length === 0) return options.empty;
  const cells = rows.map((row) => head.map((_, index) => row[index] || '-'));
  const widths = head.map(
    (title, index) => Math.max(...[title, ...cells.map((row) => row[index] ?? '')].map(displayWidth)) + GAP,
  );
  const columns = narrowed(widths, options.width);
  // The library's own wrapping counts colours as text, so cells arrive wrapped.
  const fitted = (row: readonly string[], style: (line: string) => string) =>
    row.map((cell, index) =>
      wrap(cell, (columns[index] ?? 0) - GAP)
        .map(style)
        .join('\n'),
    );
  const table = new CliTable({
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': GAP, head: [], border: [], compact: true },
    colWidths: columns,
  });
  table.push(fitted(head, options.palette.dim), ...cells.map((row) => fitted(row, (line) => line)));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function narrowed(widths: readonly number[], available: number | undefined): number[] {
  const result = [...widths];
  const total = () => result.reduce((sum, width) => sum + width, 0);
  while (available !== undefined && total() > available) {
    const widest = result.indexOf(Math.max(...result));
    const width = result[widest] ?? 0;
    if (width <= NARROWEST) break;
    result[widest] = width - 1;
  }
  return result;
}
