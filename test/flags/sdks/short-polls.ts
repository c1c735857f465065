/** LaunchDarkly's SDK polls every 30 s at most often. Here those 30 s pass in a tenth of a second. */

// What is left of 30 s after a poll; nothing else in these tests waits so long, and the deadlines of the tests run on other timers.
const [LEAST_MS, MOST_MS] = [25_000, 30_000];
const SHORT_MS = 100;

/** @returns puts the timers back */
export function shortenPolls(): () => void {
  const original = globalThis.setTimeout;
  const shortened = <Args extends unknown[]>(run: (...args: Args) => void, delayMs?: number, ...args: Args): NodeJS.Timeout => {
    const isPoll = delayMs !== undefined && delayMs >= LEAST_MS && delayMs <= MOST_MS;
    return original(run, isPoll ? SHORT_MS : delayMs, ...args);
  };
  globalThis.setTimeout = Object.assign(shortened, original);
  return () => {
    globalThis.setTimeout = original;
  };
}
