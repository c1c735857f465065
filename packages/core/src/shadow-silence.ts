/** Notices a shadow that gets nothing while its champion has traffic. Ledgers keep one; views and logs say what it finds. */
import type { Tally } from './evidence.ts';

/** Plain data. */
export interface ShadowSilence {
  /** Begin of the newest interval in which a copy was answered, or of the watching. */
  readonly heardMs: number;
  /** Requests that the champion has answered since. */
  readonly championRequests: number;
}

/** A shadow is silent when it was not heard of for so long … */
export const SILENT_MS = 60_000;

// … although so many copies were due: that none came by chance is then less than 1 % likely, e^−5.
const MOST_LIKELY = 5;

/** The watching begins. */
export function openSilence(atMs: number): ShadowSilence {
  return { heardMs: atMs, championRequests: 0 };
}

/** After one more interval. */
export function listen(
  silence: ShadowSilence,
  { startMs, champion, shadow }: { readonly startMs: number; readonly champion: Tally; readonly shadow: Tally },
): ShadowSilence {
  if (shadow.requests > 0) return { heardMs: startMs, championRequests: 0 };
  return champion.requests === 0 ? silence : { ...silence, championRequests: silence.championRequests + champion.requests };
}

/**
 * How long a shadow has been silent that should not be; undefined when all is well, or too little came to tell.
 * @param percent share of the requests that are copied
 */
export function silentForMs({ heardMs, championRequests }: ShadowSilence, percent: number, atMs: number): number | undefined {
  const silentMs = atMs - heardMs;
  const isDue = (championRequests * percent) / 100 >= MOST_LIKELY;
  return silentMs >= SILENT_MS && isDue ? silentMs : undefined;
}
