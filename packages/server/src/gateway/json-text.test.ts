import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { MAX_DEPTH, parseJson, propertyOf } from './json-text.ts';

const SUITE = fileURLToPath(new URL('../../../../../shared/conformance/json-parsing/', import.meta.url));

const nested = (depth: number): Buffer => Buffer.from('['.repeat(depth) + ']'.repeat(depth));

it.each([
  { name: 'an empty body', body: Buffer.alloc(0), message: 'it is empty' },
  { name: 'nesting one level too deep', body: nested(MAX_DEPTH + 1), message: 'deeper than 64' },
  { name: 'a number beyond 64-bit floats', body: Buffer.from('[1e400]'), message: 'too large' },
  { name: 'a number beyond 64-bit floats by its digits', body: Buffer.from(`[${'9'.repeat(400)}]`), message: 'too large' },
  { name: 'half a surrogate pair', body: Buffer.from(String.raw`{"a":"\ud800"}`), message: 'surrogate' },
  { name: 'half a surrogate pair in a key', body: Buffer.from(String.raw`{"\udc00":1}`), message: 'surrogate' },
  { name: 'a byte order mark', body: Buffer.from('\uFEFF[]'), message: 'not JSON' },
  { name: 'bytes that are not UTF-8', body: Buffer.from([0x22, 0xff, 0x22]), message: 'UTF-8' },
  { name: 'an overlong encoding', body: Buffer.from([0x22, 0xc0, 0xaf, 0x22]), message: 'UTF-8' },
  { name: 'NaN', body: Buffer.from('[NaN]'), message: 'not JSON' },
])('refuses $name', ({ body, message }) => {
  expect(() => parseJson(body)).toThrow(message);
});

it.each([
  { name: 'nesting at the limit', body: nested(MAX_DEPTH).toString() },
  { name: 'brackets in texts', body: JSON.stringify({ a: '['.repeat(200) }) },
  { name: 'escaped quotes before brackets', body: JSON.stringify({ [`"${'{'.repeat(100)}`]: '\\' }) },
  { name: 'whole surrogate pairs', body: String.raw`["\ud83d\ude00"]` },
  { name: 'tiny numbers, which become 0', body: '[1e-400, -0, 1E5]' },
])('reads $name', ({ body }) => {
  expect(parseJson(Buffer.from(body))).toEqual(JSON.parse(body));
});

it('reads `__proto__` as a key like any other', () => {
  const value = parseJson(Buffer.from('{"__proto__":{"isAdmin":true},"a":1}'));
  expect(propertyOf(value, 'isAdmin')).toBeUndefined();
  expect(propertyOf(value, 'toString')).toBeUndefined();
  expect(propertyOf({}, 'isAdmin')).toBeUndefined();
  expect(propertyOf(value, 'a')).toBe(1);
});

describe.skipIf(!existsSync(SUITE))('the public JSON test suite', () => {
  const files = existsSync(SUITE) ? readdirSync(SUITE).filter((name) => name.endsWith('.json')) : [];
  const accepts = (name: string): boolean => {
    try {
      parseJson(readFileSync(SUITE + name));
      return true;
    } catch {
      return false;
    }
  };

  it('has the size it was written for', () => {
    expect(files.length).toBeGreaterThan(300);
  });

  it('reads all that must parse', () => {
    expect(files.filter((name) => name.startsWith('y_') && !accepts(name))).toEqual([]);
  });

  it('refuses all that must not parse', () => {
    expect(files.filter((name) => name.startsWith('n_') && accepts(name))).toEqual([]);
  });

  it('reads of the undefined cases only numbers that lose precision', () => {
    expect(files.filter((name) => name.startsWith('i_') && accepts(name))).toEqual([
      'i_number_double_huge_neg_exp.json',
      'i_number_real_underflow.json',
      'i_number_too_big_neg_int.json',
      'i_number_too_big_pos_int.json',
      'i_number_very_big_negative_int.json',
    ]);
  });
});

it.skipIf(existsSync(SUITE))('cannot run the public JSON test suite: ../shared/conformance/json-parsing is not here', () => {});
