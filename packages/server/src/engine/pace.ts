/** Remembers when something was last done, so that it is done at most so often. The engine's ticks depend on it. */
import type { Clock } from '../clock.ts';

/** Whether `key` was last due longer than `everyMs` ago; when it was, that moment becomes its last. */
export type Pace = (key: string, everyMs: number) => boolean;

export function openPace(clock: Clock): Pace {
  const last = new Map<string, number>();
  return (key, everyMs) => {
    const atMs = clock.nowMs();
    const before = last.get(key);
    if (before !== undefined && atMs - before < everyMs) return false;
    last.set(key, atMs);
    return true;
  };
}
