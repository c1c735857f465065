/** Text on a terminal: made harmless, measured and wrapped. Everything that prints depends on it. */
import { stripVTControlCharacters } from 'node:util';

// Operating-system commands with their payload, and control sequences, in their 7-bit and 8-bit forms.
const SEQUENCES =
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  /(?:\u001B[\]P_^]|[\u009D\u0090\u009F\u009E])[^\u0007\u001B\u009C]*(?:\u0007|\u001B\\|\u009C)|(?:\u001B\[|\u009B)[0-?]*[ -/]*[@-~]/g;
const HAZARDS = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const WIDE =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|[\u{20000}-\u{3FFFD}])/u;
// A number keeps its unit.
const GAP = / (?!(?:%|ms)(?:\P{L}|$))/u;
const SEGMENTER = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** One line that moves no cursor, changes no colour, writes no clipboard and keeps its reading direction. */
export function plain(text: string): string {
  return text
    .replaceAll(SEQUENCES, '')
    .replaceAll(/[\t\n\v\f\r]+/g, ' ')
    .replaceAll(HAZARDS, '');
}

/** Outside data of any depth with every string, keys included, made {@link plain}. */
export function plainDeep<Value>(value: Value): Value {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- strings stay strings, so the shape is the same
  return cleaned(value) as Value;
}

/** JSON text in which no character can act on a terminal: they become `\u` escapes, which mean the same. */
export function harmlessJson(json: string): string {
  return json.replaceAll(HAZARDS, (character) =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Columns that a text takes; our own colours take none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of SEGMENTER.segment(stripVTControlCharacters(text))) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** The text with spaces up to a width. */
export function padTo(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)));
}

/** Words in lines of at most `width` columns; a longer word is cut. Never returns fewer than one line. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(GAP).flatMap((part) => cut(part, width))) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (displayWidth(joined) <= width) line = joined;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

function cut(word: string, width: number): readonly string[] {
  if (displayWidth(word) <= width) return [word];
  const pieces: string[] = [];
  let piece = '';
  for (const { segment } of SEGMENTER.segment(word)) {
    if (piece !== '' && displayWidth(piece + segment) > width) {
      pieces.push(piece);
      piece = '';
    }
    piece += segment;
  }
  return [...pieces, piece];
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return plain(value);
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [plain(key), cleaned(inner)]));
}
