// Lays rows out as a text table for the terminal.
import type { Row } from './row.ts';

const HEADINGS = ['row', 'value', 'unit', 'against', 'ratio', 'bar', 'holds'] as const;
const RIGHT_ALIGNED = new Set([1, 4]);

export function tableOf(rows: readonly Row[]): string {
  const lines = [[...HEADINGS], ...rows.map(cellsOf)];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  const text = lines.map((cells) =>
    cells
      .map((cell, column) => aligned(cell, widths[column] ?? 0, column))
      .join('  ')
      .trimEnd(),
  );
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [text[0], rule, ...text.slice(1)].join('\n');
}

/** Three significant digits for small figures, whole numbers for large ones. */
export function figureText(value: number): string {
  const text = Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));
  return text === '-0' ? '0' : text;
}

function cellsOf(row: Row): string[] {
  const ratio = row.ratio === undefined ? '' : `${figureText(row.ratio)}x`;
  return [row.name, figureText(row.value), row.unit, row.against ?? '', ratio, row.bar ?? '', holdsText(row.holds)];
}

function holdsText(holds: boolean | undefined): string {
  if (holds === undefined) return '';
  return holds ? 'yes' : 'NO';
}

function aligned(cell: string, width: number, column: number): string {
  return RIGHT_ALIGNED.has(column) ? cell.padStart(width) : cell.padEnd(width);
}
