// Draws what a terminal showed as an SVG: reads text with ANSI colours on stdin, writes the picture to stdout.
// Used for docs/demo.svg:  FORCE_COLOR=1 npm run --silent demo -- --once | node scripts/terminal-picture.ts FIRST LAST > docs/demo.svg
import { text } from 'node:stream/consumers';

const FONT_PX = 14;
const COLUMN_PX = 8.4;
const LINE_PX = 19;
const MARGIN_PX = 20;
const COLUMNS = 84;
const COLOURS: Readonly<Record<string, string>> = { '31': '#f38ba8', '32': '#a6e3a1', '33': '#f9e2af' };

const [first = '1', last = '60'] = process.argv.slice(2);
const lines = (await text(process.stdin)).split('\n').slice(Number(first) - 1, Number(last));
process.stdout.write(drawing(lines));

function drawing(shown: readonly string[]): string {
  const width = COLUMNS * COLUMN_PX + 2 * MARGIN_PX;
  const height = shown.length * LINE_PX + 2 * MARGIN_PX;
  const rows = shown.map((line, index) => {
    const y = MARGIN_PX + FONT_PX + index * LINE_PX;
    return `<text x="${MARGIN_PX}" y="${y}" xml:space="preserve">${spansOf(line)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Terminal output of npm run demo">`,
    `<rect width="100%" height="100%" rx="10" fill="#1e1e2e"/>`,
    `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${FONT_PX}" fill="#cdd6f4">`,
    ...rows,
    '</g></svg>\n',
  ].join('\n');
}

/** Each run of text of one style becomes a span of exactly as many columns as it has characters. */
function spansOf(line: string): string {
  const style = new Set<string>();
  let spans = '';
  // oxlint-disable-next-line no-control-regex -- the escape character is what is looked for
  for (const [, codes, words] of line.matchAll(/(?:\u001B\[([\d;]*)m)?([^\u001B]*)/g)) {
    if (codes !== undefined) applyCodes(style, codes);
    if (words === undefined || words === '') continue;
    spans += `<tspan textLength="${Array.from(words).length * COLUMN_PX}" lengthAdjust="spacingAndGlyphs"${attributesOf(style)}>${escapeXml(words)}</tspan>`;
  }
  return spans;
}

function applyCodes(style: Set<string>, codes: string): void {
  for (const code of codes.split(';')) {
    if (code === '' || code === '0') style.clear();
    else if (code === '22') ['1', '2'].forEach((one) => style.delete(one));
    else if (code === '39') Object.keys(COLOURS).forEach((one) => style.delete(one));
    else style.add(code);
  }
}

function attributesOf(style: ReadonlySet<string>): string {
  const colour = Object.entries(COLOURS).find(([code]) => style.has(code))?.[1];
  const fill = colour ?? (style.has('2') ? '#9399b2' : undefined);
  return `${style.has('1') ? ' font-weight="bold"' : ''}${fill === undefined ? '' : ` fill="${fill}"`}`;
}

function escapeXml(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll(' ', '\u00A0');
}
