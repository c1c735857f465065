import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantText, parseInstant } from './instant.ts';

fc.configureGlobal({ seed: 1 });

describe('moments as texts', () => {
  it('are written and read as the calendar of the language does', () => {
    const dates = fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true });
    fc.assert(
      fc.property(dates, (date) => {
        expect(instantText(date.getTime())).toBe(date.toISOString());
        expect(parseInstant(date.toISOString())).toBe(date.getTime());
      }),
    );
  });

  it.each([
    '2017-12-06',
    '2017-12-06T00:00:00',
    '2017-12-06X00:00:00Z',
    '2017-13-06T00:00:00Z',
    '2017-02-30T00:00:00Z',
    '2017-12-06T24:00:00Z',
    '1512543600000',
    '',
  ])('"%s" is none', (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });
});
