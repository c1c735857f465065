// Plays many rollouts on all cores. The seeds are fixed, so which core plays what changes nothing.
import { availableParallelism } from 'node:os';
import type { SimulatedRollout } from '@understudy/core/simulation/simulate-rollout';
import { type RolloutPlayer, startRolloutPlayer } from '@understudy/server/cli/rollout-player';

/** What one contender does in one scenario. */
export interface TrialSeries {
  readonly contender: string;
  readonly scenario: string;
}

/** A part of a series. */
export interface TrialJob extends TrialSeries {
  readonly rollouts: number;
  readonly firstSeed: number;
}

export interface TrialRequest {
  readonly series: readonly TrialSeries[];
  readonly rollouts: number;
  readonly log: (message: string) => void;
}

/** The parts of a series that are played, by their first seed. */
interface SeriesProgress {
  readonly series: TrialSeries;
  readonly jobs: readonly TrialJob[];
  readonly played: Map<number, readonly SimulatedRollout[]>;
  coreMs: number;
}

// Small enough that no core waits long for the others at the end.
const ROLLOUTS_PER_JOB = 50;

/** Plays every series; the results are in the order of the series, and in the order of the seeds. */
export async function playAll({ series, rollouts, log }: TrialRequest): Promise<readonly (readonly SimulatedRollout[])[]> {
  const all = series.map((one): SeriesProgress => ({ series: one, jobs: jobsOf(one, rollouts), played: new Map(), coreMs: 0 }));
  // One iterator for all players: each takes what is next.
  const queue = all.flatMap((progress) => progress.jobs.map((job) => ({ progress, job }))).values();
  const work = async (): Promise<void> => {
    const player = startRolloutPlayer(new URL('trial-player.ts', import.meta.url));
    try {
      for (const { progress, job } of queue) await play(player, progress, { job, log });
    } finally {
      player.close();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return all.map(({ jobs, played }) => jobs.flatMap(({ firstSeed }) => played.get(firstSeed) ?? []));
}

function jobsOf(series: TrialSeries, rollouts: number): readonly TrialJob[] {
  return Array.from({ length: Math.ceil(rollouts / ROLLOUTS_PER_JOB) }, (_, part) => {
    const done = part * ROLLOUTS_PER_JOB;
    return { ...series, rollouts: Math.min(ROLLOUTS_PER_JOB, rollouts - done), firstSeed: done + 1 };
  });
}

async function play(
  player: RolloutPlayer,
  progress: SeriesProgress,
  { job, log }: Pick<TrialRequest, 'log'> & { readonly job: TrialJob },
): Promise<void> {
  const before = performance.now();
  progress.played.set(job.firstSeed, await player.play(job));
  progress.coreMs += performance.now() - before;
  if (progress.played.size < progress.jobs.length) return;
  const { contender, scenario } = progress.series;
  log(`${contender}, ${scenario}: done in ${(progress.coreMs / 1000).toFixed(1)} s of a core`);
}
