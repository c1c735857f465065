// How long one control plane takes to decide on a thousand live rollouts.
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, REPOSITORY_FOLDER } from '../harness/folders.ts';
import { runCommand, SERVER_CORE } from '../harness/running-process.ts';
import type { Row } from '../row.ts';
import { medianOf } from '../statistics.ts';
import type { SuiteOptions } from '../suite.ts';

const ROLLOUTS = 1000;
const ROUNDS_PER_ROUND = 3;
const MOST_MS = 1000;
const DEADLINE_MS = 300_000;

interface Timed {
  readonly tickMs: readonly number[];
  readonly idleMs: readonly number[];
  readonly committed: number;
  readonly decided: number;
}

/** Engine, commands and SQLite as in the product; new evidence of two gateways for every rollout in every round. */
export async function measureDecisionTime({ rounds, log }: SuiteOptions): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(await cacheFolder('understudy'), 'decisions-'));
  try {
    log(`${ROLLOUTS} live rollouts`);
    const child = join(REPOSITORY_FOLDER, 'bench/scale/decision-time.child.ts');
    const args = [child, '--store', `sqlite:${folder}`, '--rollouts', `${ROLLOUTS}`, '--rounds', `${rounds * ROUNDS_PER_ROUND}`];
    const output = await runCommand({ name: 'decisions', command: process.execPath, args, core: SERVER_CORE }, DEADLINE_MS);
    const timed = readTimed(output);
    if (timed.decided !== ROLLOUTS) throw new Error(`${timed.decided} of ${ROLLOUTS} rollouts were live`);
    const tick = medianOf(timed.tickMs);
    return [
      {
        name: `decisions on ${ROLLOUTS} live rollouts, each with new evidence`,
        value: tick,
        unit: 'ms',
        bar: `<= ${MOST_MS} ms`,
        holds: tick <= MOST_MS,
      },
      { name: 'the slowest round of them', value: Math.max(...timed.tickMs), unit: 'ms' },
      { name: 'a round in which no rollout is due', value: medianOf(timed.idleMs), unit: 'ms' },
      { name: 'decisions written down, a round', value: timed.committed, unit: 'commits' },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function readTimed(output: string): Timed {
  const line = output.trim().split('\n').at(-1) ?? '';
  return JSON.parse(line) as Timed;
}
