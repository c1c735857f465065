/** Tries the versions that a rollback would need, one at a time and once a minute each, while no user does. The gateway holds one of these. */
import type { GoldenSet } from '@understudy/core/golden';
import type { Probe } from '@understudy/core/standby';
import type { Clock } from '../clock.ts';
import { askGolden } from './golden-call.ts';
import type { LoadedVersion } from './loaded-version.ts';
import type { Timers } from './timers.ts';

/** A version that is kept loaded and answers nobody. */
export interface Standby {
  readonly loaded: LoadedVersion;
  readonly golden: GoldenSet | undefined;
  /** Milliseconds that a user would wait. */
  readonly deadlineMs: number;
}

export interface StandbyProbes {
  /** The newest; undefined before the first. */
  probeOf(loaded: LoadedVersion): Probe | undefined;
  close(): void;
}

export interface StandbyProbePorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Those of the present snapshot. */
  readonly standbys: () => readonly Standby[];
}

/** A standby is tried so often. */
export const PROBE_EVERY_MS = 60_000;

// A new standby, or a new set of golden requests, is tried within so long.
const LOOK_EVERY_MS = 5000;
// A version that needs longer would answer no user in time, whatever the deadline.
const MAX_BUDGET_MS = 5000;

interface Tried {
  readonly probe: Probe;
  readonly golden: GoldenSet | undefined;
  /** The golden request that comes next; a failed one comes again until it passes. */
  readonly next: number;
}

/** Begins to look at standbys; nothing is tried while the former try goes on. */
export function openStandbyProbes(ports: StandbyProbePorts): StandbyProbes {
  const { clock, timers } = ports;
  const tried = new WeakMap<LoadedVersion, Tried>();
  let isBusy = false;
  let isClosed = false;
  let cancel = (): void => {};

  const isDue = ({ loaded, golden }: Standby): boolean => {
    if (loaded.runtime === undefined) return false;
    const last = tried.get(loaded);
    if (last === undefined || last.golden?.setAtMs !== golden?.setAtMs) return true;
    return clock.nowMs() - last.probe.atMs >= PROBE_EVERY_MS;
  };
  const round = async (due: readonly Standby[]): Promise<void> => {
    for (const standby of due) {
      if (!isClosed) await tryOne(ports, tried, standby);
    }
  };
  const look = (): void => {
    cancel = timers.after(LOOK_EVERY_MS, look);
    const due = isBusy ? [] : ports.standbys().filter(isDue);
    if (due.length === 0) return;
    isBusy = true;
    void round(due).finally(() => {
      isBusy = false;
    });
  };
  cancel = timers.after(LOOK_EVERY_MS, look);
  return {
    probeOf: (loaded) => tried.get(loaded)?.probe,
    close() {
      isClosed = true;
      cancel();
    },
  };
}

async function tryOne(
  { clock, timers, log }: StandbyProbePorts,
  tried: WeakMap<LoadedVersion, Tried>,
  { loaded, golden, deadlineMs }: Standby,
): Promise<void> {
  const { runtime, model, version } = loaded;
  if (runtime === undefined) return;
  const last = tried.get(loaded);
  const isSameSet = last?.golden?.setAtMs === golden?.setAtMs;
  const place = isSameSet ? (last?.next ?? 0) : 0;
  loaded.acquire();
  try {
    const finding = await askGolden(runtime, { golden, place, budgetMs: Math.min(deadlineMs, MAX_BUDGET_MS), timers });
    if (finding === undefined) return;
    const probe = { ...finding, detail: finding.detail.slice(0, 2000), atMs: clock.nowMs() };
    const count = golden?.requests.length ?? 1;
    tried.set(loaded, { probe, golden, next: probe.outcome === 'failed' ? place : (place + 1) % count });
    if (probe.outcome === 'failed' && last?.probe.outcome !== 'failed') {
      log('standby.probe_failed', { model, version, detail: probe.detail });
    }
    if (probe.outcome === 'ok' && last?.probe.outcome === 'failed') log('standby.probe_passed', { model, version });
  } finally {
    loaded.release();
  }
}
