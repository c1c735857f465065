import { describe, expect, it } from 'vitest';
import { countWords, oddsWords, valueWords } from './words.ts';

describe('a value', () => {
  it.each([
    { value: 0, unit: 'share', words: '0 %' },
    { value: -0, unit: 'share', words: '0 %' },
    { value: 0.0123456, unit: 'share', words: '1.2 %' },
    { value: 0.123456, unit: 'share', words: '12.3 %' },
    { value: 1, unit: 'share', words: '100 %' },
    { value: 1e-9, unit: 'share', words: '0.0000001 %' },
    { value: 12.3456, unit: 'ms', words: '12.3 ms' },
    { value: 0.0056, unit: 'ms', words: '0.0056 ms' },
    { value: 5_730_000, unit: 'ms', words: '5,730,000 ms' },
    { value: 0.83333, unit: 'score', words: '0.833' },
    { value: 1e-7, unit: 'score', words: '0.0000001' },
    { value: 2.5, unit: 'standard deviations', words: '2.5' },
  ] as const)('of $value as $unit reads "$words"', ({ value, unit, words }) => {
    expect(valueWords(value, unit)).toBe(words);
  });
});

describe('evidence', () => {
  it.each([
    { odds: 1, words: '1 to 1' },
    { odds: 1.234, words: '1.2 to 1' },
    { odds: 9.94, words: '9.9 to 1' },
    { odds: 43.4, words: '43 to 1' },
    { odds: 1234, words: '1,234 to 1' },
    { odds: 999_999, words: '999,999 to 1' },
    { odds: 1e300, words: 'over a million to 1' },
  ])('of $odds reads "$words"', ({ odds, words }) => {
    expect(oddsWords(Math.log(odds))).toBe(words);
  });

  it('of more than a number can hold has words too', () => {
    expect(oddsWords(5000)).toBe('over a million to 1');
    expect(oddsWords(Infinity)).toBe('over a million to 1');
  });
});

describe('a count', () => {
  it('has its thousands apart', () => {
    expect([0, 999, 1234, 1_234_567].map(countWords)).toEqual(['0', '999', '1,234', '1,234,567']);
  });
});
