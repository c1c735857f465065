/** What the copies of one model may use, and what became of them. Outlives snapshots: bounds and totals are the model's. */
import { DROP_REASONS, type DropReason } from '@understudy/core/pairs';

export interface ShadowLimits {
  /** Copies in work at once, those that wait for their turn included. */
  readonly shadowMaxInFlight: number;
  /** Bytes of their requests together. */
  readonly shadowMaxBytes: number;
}

/** Totals since the start. */
export interface ShadowTotals {
  readonly model: string;
  /** Copies in work at this moment. */
  readonly inFlight: number;
  /** Copies that a version was called with. */
  readonly delivered: number;
  readonly failed: number;
  readonly timeouts: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
}

export interface ShadowLane {
  /** Takes room for a copy; or says why there is none, and the copy is dropped. */
  enter(bytes: number, atMs: number): DropReason | undefined;
  leave(bytes: number): void;
  countDrop(reason: DropReason): void;
  countDelivery(): void;
  /** @param isFruitless whether it cost a connection: no answer at all, or one so long that it was not read to its end */
  countEnd(failure: 'failed' | 'timeout' | 'invalid' | undefined, isFruitless: boolean): void;
  /**
   * Runs something after the present turn of the event loop and after everything deferred before it, one in each turn: an
   * inline model holds the loop while it runs, and the requests of users come in between.
   */
  defer(run: () => Promise<void>): void;
  totals(): ShadowTotals;
}

export interface ShadowLanes {
  laneOf(model: string): ShadowLane;
  totals(): readonly ShadowTotals[];
}

/** There is a lane for each model that was ever shadowed here: as many as there are models. */
export function openShadowLanes(limits: ShadowLimits): ShadowLanes {
  const lanes = new Map<string, ShadowLane>();
  return {
    laneOf(model) {
      const present = lanes.get(model);
      if (present !== undefined) return present;
      const lane = openLane(model, limits);
      lanes.set(model, lane);
      return lane;
    },
    totals: () => [...lanes.values()].map((lane) => lane.totals()),
  };
}

// A connection that is reset, or given up over a long answer, costs a new one each time: at the rate of the users' requests that
// would be felt. A copy after 100 ms, 200 ms and so on, and then one a second, still comes to a verdict within seconds.
const SICK_AFTER = 5;
const SICK_PAUSE_MS = { first: 100, longest: 1000 } as const;

function openLane(model: string, { shadowMaxInFlight, shadowMaxBytes }: ShadowLimits): ShadowLane {
  let [inFlight, bytesInFlight, delivered, failed, timeouts] = [0, 0, 0, 0, 0];
  const dropped = new Map<DropReason, number>();
  const line = openLine();
  let fruitless = 0;
  let nextMs = 0;
  const countDrop = (reason: DropReason): void => {
    dropped.set(reason, (dropped.get(reason) ?? 0) + 1);
  };
  return {
    enter(bytes, atMs) {
      if (inFlight >= shadowMaxInFlight) return 'busy';
      if (bytesInFlight + bytes > shadowMaxBytes) return 'bytes';
      if (fruitless >= SICK_AFTER) {
        if (atMs < nextMs) return 'sick';
        nextMs = atMs + Math.min(SICK_PAUSE_MS.longest, SICK_PAUSE_MS.first * 2 ** (fruitless - SICK_AFTER));
      }
      inFlight++;
      bytesInFlight += bytes;
      return undefined;
    },
    leave(bytes) {
      inFlight--;
      bytesInFlight -= bytes;
    },
    countDrop,
    countDelivery() {
      delivered++;
    },
    countEnd(failure, isFruitless) {
      fruitless = isFruitless ? fruitless + 1 : 0;
      if (failure === 'timeout') timeouts++;
      else if (failure !== undefined) failed++;
    },
    defer: (run) => line.add(run),
    totals: () => ({
      model,
      inFlight,
      delivered,
      failed,
      timeouts,
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.fromEntries forgets that every reason is there
      dropped: Object.fromEntries(DROP_REASONS.map((reason) => [reason, dropped.get(reason) ?? 0])) as ShadowTotals['dropped'],
    }),
  };
}

/** One after the other, each in a turn of its own. Bounded by who may enter the lane. */
function openLine(): { add(run: () => Promise<void>): void } {
  const waiting: (() => Promise<void>)[] = [];
  let isRunning = false;
  const runNext = (): void => {
    const next = waiting.shift();
    if (next === undefined) {
      isRunning = false;
      return;
    }
    void next().finally(() => setImmediate(runNext));
  };
  return {
    add(run) {
      waiting.push(run);
      if (isRunning) return;
      isRunning = true;
      setImmediate(runNext);
    },
  };
}
