import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columnsOf, keepTogether, padEnd, padStart, paragraph, widthOf } from './lines.ts';
import { paletteOf } from './palette.ts';

const color = paletteOf(true);

describe('paragraph', () => {
  it('hangs the following lines under the first word', () => {
    expect(paragraph('one two three four', { columns: 12, lead: '  → ' })).toEqual(['  → one two', '    three', '    four']);
  });

  it('keeps a word that is longer than a line, so that it can be copied', () => {
    expect(paragraph('see http://127.0.0.1:7070/docs now', { columns: 10, lead: '' })).toEqual([
      'see',
      'http://127.0.0.1:7070/docs',
      'now',
    ]);
  });

  it('breaks no text that is kept together', () => {
    expect(paragraph(`a ${keepTogether('p50 1 ms')}`, { columns: 9, lead: '' })).toEqual(['a', 'p50 1 ms']);
  });

  it('stays within its columns when every word does', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z]{1,12}$/)), (words) => {
        for (const line of paragraph(words.join(' '), { columns: 20, lead: '  x ' }))
          expect(widthOf(line)).toBeLessThanOrEqual(20);
      }),
    );
  });
});

describe('columns', () => {
  it('are measured without their colours', () => {
    expect(widthOf(color.red('abc'))).toBe(3);
    expect(padEnd(color.red('abc'), 5)).toBe(`${color.red('abc')}  `);
    expect(padStart(color.red('abc'), 5)).toBe(`  ${color.red('abc')}`);
  });

  it('stand under each other, numbers to the right', () => {
    const rows = [
      ['', 'requests'],
      ['v1', '12'],
      ['v2 challenger', '1,234'],
    ];
    expect(columnsOf(rows, ['left', 'right'])).toEqual([
      '               requests',
      'v1                   12',
      'v2 challenger     1,234',
    ]);
  });
});
