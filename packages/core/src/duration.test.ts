import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from './duration.ts';

fc.configureGlobal({ seed: 1 });

describe('parseDuration', () => {
  it.each([
    { text: '0s', ms: 0 },
    { text: '250ms', ms: 250 },
    { text: '90s', ms: 90_000 },
    { text: '10m', ms: 600_000 },
    { text: '24h', ms: 86_400_000 },
    { text: '7d', ms: 604_800_000 },
    { text: '1h30m', ms: 5_400_000 },
    { text: '1d2h3m4s5ms', ms: 93_784_005 },
    { text: '1.5h', ms: 5_400_000 },
    { text: '0.1s', ms: 100 },
    { text: '1.005s', ms: 1005 },
    { text: '0.5ms', ms: 0.5 },
  ])('reads $text as $ms ms', ({ text, ms }) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each([
    '',
    ' ',
    '5',
    's',
    '-5s',
    '+5s',
    '5 s',
    '5S',
    '5w',
    '1e3s',
    '.5s',
    '5.s',
    '0x5s',
    '5s!',
    'PT5S',
    'NaNs',
    'Infinityms',
    '٣s',
  ])('refuses "%s"', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it('refuses a length of time that no number can hold', () => {
    expect(parseDuration(`${'9'.repeat(400)}d`)).toBeUndefined();
  });

  it('reads a sum of units as the sum of what it reads alone', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), fc.nat(1000), (hours, minutes, seconds) => {
        expect(parseDuration(`${hours}h${minutes}m${seconds}s`)).toBe(((hours * 60 + minutes) * 60 + seconds) * 1000);
      }),
    );
  });

  it('answers at once for a long text that nearly is a length of time', () => {
    expect(parseDuration(`${'1s'.repeat(50_000)}x`)).toBeUndefined();
  });
});

describe('formatDuration', () => {
  it.each([
    { ms: 0, text: '0ms' },
    { ms: 0.4, text: '0ms' },
    { ms: 850, text: '850ms' },
    { ms: 999.4, text: '999ms' },
    { ms: 999.6, text: '1s' },
    { ms: 1000, text: '1s' },
    { ms: 12_000, text: '12s' },
    { ms: 59_499, text: '59s' },
    { ms: 59_600, text: '1m' },
    { ms: 60_000, text: '1m' },
    { ms: 250_000, text: '4m 10s' },
    { ms: 3_599_600, text: '1h' },
    { ms: 7_500_000, text: '2h 5m' },
    { ms: 86_399_000, text: '1d' },
    { ms: 86_400_000, text: '1d' },
    { ms: 273_600_000, text: '3d 4h' },
    { ms: 604_800_000, text: '7d' },
  ])('writes $ms ms as $text', ({ ms, text }) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('is never further from the truth than half of its last unit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 10 }), (ms) => {
        const written = parseDuration(formatDuration(ms).replaceAll(' ', '')) ?? Number.NaN;
        const unit = ms < 999 ? 1 : ms < 3_599_500 ? 1000 : ms < 86_370_000 ? 60_000 : 3_600_000;
        // A duration is rounded to seconds first and to minutes and hours from there.
        const slack = unit / 2 + (unit >= 60_000 ? 500 : 0) + (unit === 3_600_000 ? 30_000 : 0);
        expect(Math.abs(written - ms)).toBeLessThanOrEqual(slack);
      }),
      { numRuns: 2000 },
    );
  });
});
