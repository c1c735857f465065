/** Numbers of the policy `sequential` as people read them. */
import type { GuardReading } from '../policy.ts';

// Made once: making one takes longer than a whole judgement.
const COUNTS = new Intl.NumberFormat('en-US');
const TWO_FIGURES = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 2 });
const THREE_FIGURES = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });

/** A value in its unit: `1.9 %`, `12.4 ms`, `0.83`. */
export function valueWords(value: number, unit: GuardReading['unit']): string {
  switch (unit) {
    case 'ms':
      return `${figures(value, 3)} ms`;
    case 'share':
      return `${figures(value * 100, value < 0.1 ? 2 : 3)} %`;
    case 'score':
    case 'standard deviations':
    case 'number':
      return figures(value, 3);
  }
}

/** Evidence as odds: `43 to 1`; the more, the less is left to chance. */
export function oddsWords(logEvidence: number): string {
  if (logEvidence > Math.log(1e6)) return 'over a million to 1';
  const odds = Math.exp(logEvidence);
  return `${odds >= 10 ? countWords(Math.round(odds)) : figures(odds, 2)} to 1`;
}

/** A count with its thousands apart. */
export function countWords(count: number): string {
  return COUNTS.format(count);
}

/** Never as a power of ten, and without a sign before nothing. */
function figures(value: number, most: 2 | 3): string {
  return (most === 2 ? TWO_FIGURES : THREE_FIGURES).format(value + 0);
}
