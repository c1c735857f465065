/** What goes wrong, and when. Drawn from the seed at the beginning, but for what happens to single calls. */
import type { Dice } from './dice.ts';
import type { Plane } from './control-plane.ts';
import type { VirtualTime } from './virtual-time.ts';

/** How often single calls between a control plane and the store go wrong; all of it ends when the world is healed. */
export interface Faults {
  isHealed: boolean;
  /** Longest time that a message takes, in milliseconds. */
  slowestMs: number;
  /**
   * Reports take this much longer at most, on a store that is slow to write; undefined where they are stored at the very moment
   * that the control plane reads its clock, as in an embedded store.
   */
  slowestReportMs: number | undefined;
  /** The request does not arrive. */
  requestLost: number;
  /** The request is carried out and the answer does not arrive: nobody knows what happened. */
  replyLost: number;
  /** The request arrives twice. */
  twice: number;
  /** The process dies when it is about to commit: between decision and commit. */
  diesBeforeCommit: number;
  /** The process dies when its commit has happened: between commit and publication. */
  diesAfterCommit: number;
}

/**
 * How far clocks of control planes are apart. `embedded` is a control plane that has the store to itself, on a machine whose clock
 * is set while it runs and while it is down.
 */
export type Clocks = 'same' | 'agree' | 'disagree' | 'embedded';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** Clocks that are kept by NTP; the statistics allow for 200 ms. */
const SMALL_SKEW_MS = 50;

export function faultsOf(dice: Dice, slowestReportMs: number | undefined): Faults {
  const isRough = dice.chance(0.7);
  const often = (most: number): number => (isRough ? dice.between(0, most) : 0);
  return {
    isHealed: false,
    slowestMs: dice.pick([20, 100, 400]),
    slowestReportMs,
    requestLost: often(0.03),
    replyLost: often(0.03),
    twice: often(0.05),
    diesBeforeCommit: often(0.15),
    diesAfterCommit: often(0.15),
  };
}

export interface Weather {
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly planes: readonly Plane[];
  readonly clocks: Clocks;
  /** When it ends. */
  readonly untilMs: number;
  readonly onTrace: (line: string) => void;
}

/** Plans pauses, kills, clogs and clocks for the time until the world is healed. */
export function planWeather(weather: Weather): void {
  const { time, dice, planes, clocks, untilMs, onTrace } = weather;
  for (const plane of planes) {
    plane.skewMs = skewOf(dice, clocks);
    for (let pauses = dice.whole(0, 2); pauses > 0; pauses -= 1) {
      const [atMs, forMs] = [dice.between(0, untilMs), dice.between(300, 4000)];
      time.after(atMs, () => {
        onTrace(`${plane.name} stands still`);
        plane.pausedUntilMs = Math.min(untilMs, time.nowMs() + forMs);
      });
    }
    for (let kills = dice.whole(0, 1); kills > 0; kills -= 1) {
      time.after(dice.between(0, untilMs), () => {
        // A machine whose clock was set while the process was down.
        if (clocks === 'disagree' && dice.chance(0.5)) plane.skewMs = skewOf(dice, clocks);
        if (clocks === 'embedded') setMachine(plane, dice);
        plane.crash('killed');
      });
    }
  }
  if (dice.chance(0.6)) swizzle(weather);
}

/** Cuts planes off one by one, and lets them back in another order. */
function swizzle({ time, dice, planes, untilMs, onTrace }: Weather): void {
  const beginMs = dice.between(0, untilMs / 2);
  const endMs = dice.between(beginMs, untilMs);
  const middleMs = (beginMs + endMs) / 2;
  const some = dice.shuffled(planes).slice(0, dice.whole(1, planes.length));
  const back = dice.shuffled(some);
  some.forEach((plane, place) => {
    const fromMs = beginMs + (place * (middleMs - beginMs)) / some.length;
    const toMs = middleMs + ((back.indexOf(plane) + 1) * (endMs - middleMs)) / some.length;
    time.after(fromMs, () => {
      onTrace(`${plane.name} is cut off`);
      plane.cloggedUntilMs = toMs;
    });
  });
}

/** Sets the clock; one that is ahead after the machine booted cannot be told from time that has passed. */
function setMachine(plane: Plane, dice: Dice): void {
  const setByMs = dice.pick([0, 10_000, HOUR_MS, YEAR_MS]);
  const isBooted = dice.chance(0.3);
  plane.skewMs = isBooted || dice.chance(0.5) ? -setByMs : setByMs;
  if (isBooted) plane.boot();
}

function skewOf(dice: Dice, clocks: Clocks): number {
  if (clocks === 'same' || clocks === 'embedded') return 0;
  if (clocks === 'agree') return dice.between(-SMALL_SKEW_MS, SMALL_SKEW_MS);
  return dice.pick([-1, 1]) * dice.pick([0, 10_000, HOUR_MS, YEAR_MS]);
}

/** Ends everything that goes wrong but for what clocks say. */
export function heal(faults: Faults, planes: readonly Plane[]): void {
  const healed: Faults = {
    isHealed: true,
    slowestMs: 20,
    slowestReportMs: faults.slowestReportMs === undefined ? undefined : 0,
    requestLost: 0,
    replyLost: 0,
    twice: 0,
    diesBeforeCommit: 0,
    diesAfterCommit: 0,
  };
  Object.assign(faults, healed);
  for (const plane of planes) {
    plane.pausedUntilMs = 0;
    plane.cloggedUntilMs = 0;
    if (!plane.isUp()) plane.start();
  }
}
