/** One control plane: the real engine, commands, report intake and snapshot feed, in a process that can be stopped, killed and cut off. */
import type { Snapshot } from '@understudy/core/snapshot';
import type { Clock } from '../../packages/server/src/clock.ts';
import type { CommandContext } from '../../packages/server/src/commands/command.ts';
import { openReportIntake, type TakeReport } from '../../packages/server/src/control/report-intake.ts';
import { openSnapshotFeed, type SnapshotFeed } from '../../packages/server/src/control/snapshot-feed.ts';
import { openEmbeddedClock } from '../../packages/server/src/embedded-clock.ts';
import { type EngineLog, openEngine } from '../../packages/server/src/engine/rollout-engine.ts';
import { isAnythingOnTrial, newestMomentOf } from '../../packages/server/src/engine/time-bounds.ts';
import { withDocumentCache } from '../../packages/server/src/storage/document-cache.ts';
import type { Store } from '../../packages/server/src/storage/store.ts';
import type { Dice } from './dice.ts';
import { openFaultyChannel } from './faulty-channel.ts';
import type { Faults } from './faults.ts';
import type { Counter } from './happened.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Virtual moment 0 on a clock that is right. */
export const BASE_MS = 1_700_000_000_000;

/** A machine with a control plane on it. */
export interface Plane {
  readonly name: string;
  readonly isUp: () => boolean;
  /** How far its clock is ahead of the right one. */
  skewMs: number;
  /** Until then the process stands still, as after SIGSTOP; what is in the network goes on. */
  pausedUntilMs: number;
  /** Until then nothing passes between it and the store. */
  cloggedUntilMs: number;
  start(): void;
  /** The machine starts again, and counts from 0. */
  boot(): void;
  /** Ends the process at once: whatever it waited for never comes. */
  crash(why: string): void;
  /** Runs something in the process, later when it is paused and never when it has died meanwhile. */
  inProcess(generation: number, run: () => void): void;
  readonly generation: () => number;
  /** What people and gateways ask it; never answered when the process dies. */
  serve<Answer>(work: (context: CommandContext, takeReport: TakeReport) => Promise<Answer>): Promise<Answer>;
  /** The newest snapshot that its feed has; undefined while it cannot be asked. */
  snapshot(): Snapshot | undefined;
}

export interface PlaneParts {
  readonly name: string;
  readonly environment: string;
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly faults: Faults;
  /** What all planes share. */
  readonly store: Store;
  /** Has the store to itself: `believed` goes by whatever the machine's clock says, which is a planted bug. */
  readonly embedded?: 'counted' | 'believed' | undefined;
  readonly onTrace: (line: string) => void;
  readonly note: Counter['note'];
  readonly onInternalError: (where: string, error: unknown) => void;
}

const TICK_MS = 1000;
const RESTART_MS = { from: 100, to: 2000 };

interface Running {
  readonly context: CommandContext;
  readonly takeReport: TakeReport;
  snapshot: Snapshot | undefined;
}

export function openPlane(parts: PlaneParts): Plane {
  const { name, environment, time, dice, faults, onTrace, note } = parts;
  let generation = 0;
  let isUp = false;
  let running: Running | undefined;
  const machine = openMachine(parts, () => plane.skewMs);

  function start(): void {
    generation += 1;
    isUp = true;
    onTrace(`${name} starts`);
    const born = generation;
    void machine.openClock().then((clock) => plane.inProcess(born, () => run(born, clock)));
  }

  function run(born: number, clock: Clock): void {
    const channel = openFaultyChannel({ plane, generation: born, store: parts.store, time, dice, faults, onTrace, note });
    // Of one that is alone, too, what it asked before it died may still arrive.
    const store = withDocumentCache(channel, { environment, isShared: true });
    const context: CommandContext = { store, environment, clock };
    const engine = openEngine(context, logOf(parts));
    const own: Running = { context, takeReport: openReportIntake(context), snapshot: undefined };
    running = own;
    let feed: SnapshotFeed | undefined;
    const openFeed = async (): Promise<void> => {
      const timers = {
        after(ms: number, run: () => void) {
          let isWanted = true;
          time.after(ms, () => plane.inProcess(born, () => isWanted && run()));
          return () => void (isWanted = false);
        },
      };
      feed = await openSnapshotFeed({ ...context, onFailure: () => undefined, timers });
      feed.subscribe({
        take: (snapshot) => void (own.snapshot = snapshot),
        present: () => undefined,
        refuse: () => undefined,
      });
    };
    const round = async (): Promise<void> => {
      try {
        if (feed === undefined) await openFeed();
        await engine.tick();
        await feed?.refresh();
      } catch (error) {
        parts.onInternalError(`${name} tick`, error);
      }
      schedule(dice.between(0.8 * TICK_MS, 1.2 * TICK_MS));
    };
    const schedule = (ms: number): void => time.after(ms, () => plane.inProcess(born, () => void round()));
    schedule(dice.between(0, TICK_MS));
  }

  const plane: Plane = {
    name,
    skewMs: 0,
    pausedUntilMs: 0,
    cloggedUntilMs: 0,
    isUp: () => isUp,
    generation: () => generation,
    start,
    boot: () => machine.boot(),
    crash(why) {
      if (!isUp) return;
      onTrace(`${name} dies: ${why}`);
      note('process killed');
      generation += 1;
      isUp = false;
      running = undefined;
      const restartMs = faults.isHealed ? 0 : dice.between(RESTART_MS.from, RESTART_MS.to);
      time.after(restartMs, () => {
        if (!isUp) start();
      });
    },
    inProcess(born, run) {
      if (born !== generation) return;
      const waitMs = plane.pausedUntilMs - time.nowMs();
      if (waitMs <= 0) run();
      else time.after(waitMs, () => plane.inProcess(born, run));
    },
    serve(work) {
      const born = generation;
      return new Promise((resolve, reject) => {
        plane.inProcess(born, () => {
          if (running !== undefined) work(running.context, running.takeReport).then(resolve, reject);
        });
      });
    },
    snapshot: () => (time.nowMs() < plane.pausedUntilMs ? undefined : running?.snapshot),
  };
  return plane;
}

/** The machine of a control plane: what it counts, and its clock that somebody may set. */
function openMachine({ environment, time, store, embedded }: PlaneParts, skewMs: () => number) {
  let bootedAtMs = 0;
  let keptMs: number | undefined;
  const wall: Clock = { nowMs: () => BASE_MS + time.nowMs() + skewMs() };
  return {
    boot() {
      bootedAtMs = time.nowMs();
      keptMs = undefined;
    },
    async openClock(): Promise<Clock> {
      if (embedded === undefined) return wall;
      if (embedded === 'believed') {
        const setMs = skewMs();
        return { nowMs: () => BASE_MS + time.nowMs() + setMs };
      }
      return openEmbeddedClock({
        note: { recall: () => keptMs, keep: (offsetMs) => void (keptMs = offsetMs) },
        machine: { nowMs: () => time.nowMs() - bootedAtMs },
        wall,
        newestMs: () => newestMomentOf({ store, environment }),
        isAnythingOnTrial: (atMs) => isAnythingOnTrial({ store, environment }, atMs),
        log: { warn: () => undefined },
      });
    },
  };
}

/** The engine logs what one model's round fails of; anything but a store that cannot be reached is a bug. */
function logOf({ name, onTrace, onInternalError }: PlaneParts): EngineLog {
  return {
    info: (_fields, event) => onTrace(`${name} ${event}`),
    warn: (_fields, event) => onTrace(`${name} ${event}`),
    error: (fields, event) => {
      if ('error' in fields) onInternalError(`${name} ${event}`, fields.error);
      else onTrace(`${name} ${event}`);
    },
  };
}
