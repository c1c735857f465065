/**
 * Plays many rollouts on all cores, in processes of their own. The seeds are fixed, so which core plays what changes nothing.
 *
 * Processes, because threads that each load TypeScript now and then crashed V8 13.6 (a race over WebAssembly code that threads share).
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import type { SimulatedRollout } from '@understudy/core/simulation/simulate-rollout';
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
    const child = startChild();
    try {
      child.send(orders);
      for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) {
        child.send(job);
        const answer = await answerOf(child, signal);
        parts[job.place]?.set(job.firstSeed, answer);
        played[job.place] = (played[job.place] ?? 0) + job.rollouts;
        onProgress(job.place, played[job.place] ?? 0);
      }
    } finally {
      child.kill();
    }
  }

  signal.throwIfAborted();
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), jobs.length) }, work));
  return parts.map((part) => [...part].toSorted(([a], [b]) => a - b).flatMap(([, some]) => some));
}

function startChild(): ChildProcess {
  return fork(new URL('simulation.child.ts', import.meta.url), { serialization: 'advanced', execArgv: [] });
}

async function answerOf(child: ChildProcess, signal: AbortSignal): Promise<readonly SimulatedRollout[]> {
  const settled = new AbortController();
  const until = { signal: AbortSignal.any([signal, settled.signal]) };
  try {
    const answered = once(child, 'message', until).then(([answer]: (readonly SimulatedRollout[])[]) => answer);
    const ended = once(child, 'exit', until).then(() => undefined);
    const answer = await Promise.race([answered, ended]);
    if (answer === undefined) throw new Error('a process that plays rollouts ended before it answered');
    return answer;
  } finally {
    settled.abort();
  }
}

function jobsOf(place: number, rollouts: number, firstSeed: number): readonly Job[] {
  return Array.from({ length: Math.ceil(rollouts / ROLLOUTS_PER_JOB) }, (_, part) => {
    const done = part * ROLLOUTS_PER_JOB;
    return { place, rollouts: Math.min(ROLLOUTS_PER_JOB, rollouts - done), firstSeed: firstSeed + done };
  });
}
