/** Tells the first calls of a new instance of a version from all later ones: their times are counted apart. Loaded versions have one each. */
import { COLD_MS, COLD_REQUESTS } from '@understudy/core/evidence';

export interface ColdStart {
  /** Notes a call, and says whether the instance is cold for it. Decided as it begins: the slowest cold calls end last. */
  begin(atMs: number): boolean;
  /** Takes back a cold call that never reached the instance. */
  takeBack(): void;
}

export function openColdStart(): ColdStart {
  let calls = 0;
  let untilMs = 0;
  return {
    begin(atMs) {
      if (calls === 0) untilMs = atMs + COLD_MS;
      if (calls >= COLD_REQUESTS || atMs >= untilMs) return false;
      calls++;
      return true;
    },
    takeBack() {
      calls--;
    },
  };
}
