/** Names what is served, so that a client can be told that it has something older. The OFREP protocol depends on it. */
import type { FlagState } from '../flag-world.ts';

/** The revision, and how many beginnings and ends of schedules have passed: both change the answers. */
export function versionOf({ revision, documents }: FlagState, atMs: number): string {
  let passed = 0;
  for (const { schedule } of documents.flags) {
    if (schedule === undefined) continue;
    passed += Number((schedule.fromMs ?? Infinity) <= atMs) + Number((schedule.untilMs ?? Infinity) <= atMs);
  }
  return `${revision}.${passed}`;
}
