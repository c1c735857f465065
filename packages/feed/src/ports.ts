/** What following a feed takes from where it runs: the network, the time, chance. Everything with a connection is given these. */

/** Replaceable as a whole in tests; {@link SYSTEM_PORTS} otherwise. */
export interface FeedPorts {
  readonly fetch: typeof fetch;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Calls once, later. @returns cancels */
  readonly after: (ms: number, call: () => void) => () => void;
}

/** The real ones. */
export const SYSTEM_PORTS: FeedPorts = {
  fetch: (input, init) => fetch(input, init),
  nowMs: () => Date.now(),
  random: () => Math.random(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    // A process that has nothing else to do may end.
    if (hasUnref(timer)) timer.unref();
    return () => clearTimeout(timer);
  },
};

function hasUnref(timer: unknown): timer is { unref(): void } {
  return typeof timer === 'object' && timer !== null && 'unref' in timer && typeof timer.unref === 'function';
}

/** Resolves after a time, or at once when the signal is aborted. Never rejects. */
export function pause(ms: number, signal: AbortSignal, ports: Pick<FeedPorts, 'after'>): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = ports.after(ms, end);
    signal.addEventListener('abort', end);
  });
}
