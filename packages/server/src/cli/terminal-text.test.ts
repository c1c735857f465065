import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { displayWidth, harmlessJson, plain, plainDeep, wrap } from './terminal-text.ts';

const HAZARD = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;
const anyText = fc.string({
  unit: fc.oneof(fc.constantFrom('\u001B', '\u009B', '\u009D', '[', ']', '\u0007', '\u202E', '\n'), fc.string()),
});

describe('plain', () => {
  it.each([
    { name: 'colours', text: 'a\u001B[31mb\u001B[0mc', expected: 'abc' },
    { name: 'a link with its address', text: 'a\u001B]8;;http://evil\u001B\\b', expected: 'ab' },
    { name: 'writing the clipboard', text: 'a\u001B]52;c;ZXZpbA==\u0007b', expected: 'ab' },
    { name: '8-bit sequences', text: 'a\u009B2Jb\u009D0;title\u009Cc', expected: 'abc' },
    { name: 'a sequence that never ends, keeping what it says', text: 'a\u001B]0;title', expected: 'a]0;title' },
    { name: 'bidi overrides', text: 'a\u202Eb\u2066c', expected: 'abc' },
    { name: 'line breaks, into a space', text: 'a\r\nb\tc', expected: 'a b c' },
    { name: 'line separators', text: 'a\u2028b', expected: 'ab' },
    { name: 'nothing of other languages', text: 'مدل ｗｉｄｅ 👩‍👩‍👧', expected: 'مدل ｗｉｄｅ 👩‍👩‍👧' },
  ])('removes $name', ({ text, expected }) => expect(plain(text)).toBe(expected));

  it('never lets a hazard through', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(plain(text)).not.toMatch(HAZARD);
      }),
    );
  });
});

it('cleans strings and keys of any depth and leaves the rest', () => {
  expect(plainDeep({ 'k\u001B': ['a\u0007', 1, null, true, { b: '\u202E' }] })).toEqual({ k: ['a', 1, null, true, { b: '' }] });
});

it('escapes hazards in JSON so that it still means the same', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const json = harmlessJson(JSON.stringify({ text }, undefined, 2));
      expect(json.replaceAll('\n', '')).not.toMatch(HAZARD);
      expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify({ text })));
    }),
  );
});

it.each([
  { text: 'abc', width: 3 },
  { text: 'ｗｉ', width: 4 },
  { text: '👩‍👩‍👧', width: 2 },
  { text: '\u001B[31mab\u001B[39m', width: 2 },
  { text: 'é', width: 1 },
])('measures $text as $width columns', ({ text, width }) => expect(displayWidth(text)).toBe(width));

it('wraps to lines that fit and loses no word', () => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1 });
  fc.assert(
    fc.property(words, fc.integer({ min: 10, max: 60 }), (list, width) => {
      const lines = wrap(list.join(' '), width);
      expect(lines.every((line) => displayWidth(line) <= width)).toBe(true);
      expect(lines.join(' ')).toBe(list.join(' '));
    }),
  );
});
