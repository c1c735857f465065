/** Plays many rollouts on all cores. The seeds are fixed, so which core plays what changes nothing. */
import { availableParallelism } from 'node:os';
import type { SimulatedRollout } from '@understudy/core/simulation/simulate-rollout';
import { startRolloutPlayer } from './rollout-player.ts';
import type { TrialOrder } from './simulated-trial.ts';

/** A part of an order. */
export interface Job {
  /** Of the order, in the list of all. */
  readonly place: number;
  readonly rollouts: number;
  readonly firstSeed: number;
}

export interface SimulationRequest {
  readonly orders: readonly TrialOrder[];
  /** Of each order. */
  readonly rollouts: number;
  readonly firstSeed: number;
  readonly signal: AbortSignal;
  /** Told after each part: which order it was of, and how many of its rollouts have been played. */
  readonly onProgress: (place: number, played: number) => void;
}

// Small enough that no core waits long for the others at the end, and that progress is seen.
const ROLLOUTS_PER_JOB = 10;

/** The rollouts of every order, in the order of the seeds. */
export async function playAll(request: SimulationRequest): Promise<readonly (readonly SimulatedRollout[])[]> {
  const { orders, rollouts, firstSeed, signal, onProgress } = request;
  const parts = orders.map(() => new Map<number, readonly SimulatedRollout[]>());
  const played = orders.map(() => 0);
  const jobs = orders.flatMap((_, place) => jobsOf(place, rollouts, firstSeed));
  let next = 0;

  async function work(): Promise<void> {
    const player = startRolloutPlayer(new URL('simulation-player.ts', import.meta.url));
    try {
      player.tell(orders);
      for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) {
        parts[job.place]?.set(job.firstSeed, await player.play(job, signal));
        played[job.place] = (played[job.place] ?? 0) + job.rollouts;
        onProgress(job.place, played[job.place] ?? 0);
      }
    } finally {
      player.close();
    }
  }

  signal.throwIfAborted();
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), jobs.length) }, work));
  return parts.map((part) => [...part].toSorted(([a], [b]) => a - b).flatMap(([, some]) => some));
}

function jobsOf(place: number, rollouts: number, firstSeed: number): readonly Job[] {
  return Array.from({ length: Math.ceil(rollouts / ROLLOUTS_PER_JOB) }, (_, part) => {
    const done = part * ROLLOUTS_PER_JOB;
    return { place, rollouts: Math.min(ROLLOUTS_PER_JOB, rollouts - done), firstSeed: firstSeed + done };
  });
}
