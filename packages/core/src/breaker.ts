/**
 * A gateway's own breaker for one challenger: it takes the challenger's traffic away within seconds, without the control plane,
 * when the challenger fails clearly more than the champion on the same gateway. Time and chance are arguments; it has no timer.
 */
import { BREAKER_TEST, isClearlyWorse } from './breaker-test.ts';
import { openOutcomeWindow, type PairedOutcomes } from './outcome-window.ts';

/** `seen` is what opened it first: both arms over the window that spoke against the challenger. */
export type BreakerStatus =
  | { readonly state: 'closed' }
  | { readonly state: 'open'; readonly sinceMs: number; readonly retryAtMs: number; readonly seen: PairedOutcomes }
  | { readonly state: 'half-open'; readonly sinceMs: number; readonly successes: number; readonly seen: PairedOutcomes };

/** Who takes a request that is the challenger's. A `probe` goes to the challenger, and the breaker must hear of its end. */
export type Admission = 'challenger' | 'probe' | 'champion';

/** What an outcome did to the breaker; undefined is nothing. */
export type BreakerChange = 'opened' | 'reopened' | 'closed';

export interface Breaker {
  /** Asks for a request that is the challenger's. */
  admit(atMs: number): Admission;
  /**
   * A request that ended, probes excluded. Where the champion was called in for a failed challenger, its outcome is recorded
   * first, and the challenger's only when the champion could answer: what nobody can answer speaks against nobody.
   * @param random uniform in [0, 1): spreads the next try
   */
  record(atMs: number, arm: keyof PairedOutcomes, isFailure: boolean, random: number): BreakerChange | undefined;
  /** The end of a probe; `unknown` when it never came to an answer, which leaves everything as it was. */
  endProbe(atMs: number, outcome: 'succeeded' | 'failed' | 'unknown', random: number): BreakerChange | undefined;
  status(atMs: number): BreakerStatus;
  /** Whether everything goes as planned; what is served otherwise is no comparison. */
  readonly isClosed: boolean;
}

/** Of a probe: at most one at a time, and at most one in so long. */
export const PROBE_EVERY_MS = 1000;

/** Probes that must succeed in a row. */
export const PROBES_TO_CLOSE = 5;

/** The wait before the first probe, cut by up to half at random. It doubles with each opening in a row. */
export const FIRST_BACKOFF_MS = 5000;

/** The longest wait; closed for as long, the next opening is a first one again. */
export const LAST_BACKOFF_MS = 300_000;

// Two views: ten seconds react within one at any traffic; five minutes gather enough where requests are rare.
const WINDOWS = [
  { slotMs: 100, slots: 100 },
  { slotMs: 5000, slots: 60 },
] as const;

type State =
  | { readonly kind: 'closed'; readonly sinceMs: number }
  | { readonly kind: 'open'; readonly sinceMs: number; readonly retryAtMs: number; readonly seen: PairedOutcomes }
  | {
      readonly kind: 'half-open';
      readonly sinceMs: number;
      readonly successes: number;
      readonly nextProbeMs: number;
      readonly seen: PairedOutcomes;
    };

/** Opens a breaker that is closed and has seen nothing. Its memory is fixed: 640 counts. */
export function openBreaker(isWorse: (seen: PairedOutcomes) => boolean = (seen) => isClearlyWorse(seen, BREAKER_TEST)): Breaker {
  const windows = WINDOWS.map(({ slotMs, slots }) => openOutcomeWindow(slotMs, slots));
  let state: State = { kind: 'closed', sinceMs: -Infinity };
  let openings = 0;
  let isProbing = false;

  const open = (atMs: number, seen: PairedOutcomes, random: number): void => {
    const longest = Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(openings, 30));
    openings++;
    const sinceMs = state.kind === 'closed' ? atMs : state.sinceMs;
    state = { kind: 'open', sinceMs, retryAtMs: atMs + longest * (0.5 + random / 2), seen };
  };

  return {
    admit(atMs) {
      if (state.kind === 'closed') return 'challenger';
      if (state.kind === 'open') {
        if (atMs < state.retryAtMs) return 'champion';
        state = { kind: 'half-open', sinceMs: state.sinceMs, successes: 0, nextProbeMs: atMs, seen: state.seen };
      }
      if (isProbing || atMs < state.nextProbeMs) return 'champion';
      isProbing = true;
      state = { ...state, nextProbeMs: atMs + PROBE_EVERY_MS };
      return 'probe';
    },
    // oxlint-disable-next-line max-params -- the hot path, where an object for each request would be felt
    record(atMs, arm, isFailure, random) {
      if (state.kind !== 'closed') return undefined;
      for (const window of windows) window.add(atMs, arm, isFailure);
      if (!isFailure || arm === 'champion') return undefined;
      const seen = windows.map((window) => window.seen(atMs)).find(isWorse);
      if (seen === undefined) return undefined;
      if (atMs - state.sinceMs >= LAST_BACKOFF_MS) openings = 0;
      open(atMs, seen, random);
      // Closing begins anew: a champion counted for longer than the challenger would have seen other times than it.
      for (const window of windows) window.clear();
      return 'opened';
    },
    endProbe(atMs, outcome, random) {
      isProbing = false;
      if (state.kind !== 'half-open' || outcome === 'unknown') return undefined;
      if (outcome === 'failed') {
        open(atMs, state.seen, random);
        return 'reopened';
      }
      const successes = state.successes + 1;
      if (successes < PROBES_TO_CLOSE) {
        state = { ...state, successes };
        return undefined;
      }
      state = { kind: 'closed', sinceMs: atMs };
      return 'closed';
    },
    status: (atMs) => statusOf(state, atMs),
    get isClosed() {
      return state.kind === 'closed';
    },
  };
}

/** Half open from the end of the backoff on, although only the next request makes it so. */
function statusOf(state: State, atMs: number): BreakerStatus {
  if (state.kind === 'closed') return { state: 'closed' };
  const { sinceMs, seen } = state;
  if (state.kind === 'half-open') return { state: 'half-open', sinceMs, successes: state.successes, seen };
  const { retryAtMs } = state;
  return atMs < retryAtMs ? { state: 'open', sinceMs, retryAtMs, seen } : { state: 'half-open', sinceMs, successes: 0, seen };
}
