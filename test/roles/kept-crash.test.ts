// A gateway that is killed in the middle of keeping its snapshot: one of two generations is always whole (F22).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileStorage } from '@understudy/feed/file-storage';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runLoop } from '../../packages/server/src/storage/crash/child.ts';
import { seededRandom } from '../../packages/server/src/storage/crash/seeded-random.ts';
import { generationOf } from './kept-text.ts';

const FACTOR = Number(process.env['UNDERSTUDY_CRASH_FACTOR'] ?? 1);
const SEED = Number(process.env['UNDERSTUDY_CRASH_SEED'] ?? 1);
const KILLS_PER_LANE = Math.round(250 * FACTOR);
const TIMEOUT_MS = 180_000 * Math.max(1, FACTOR);
// After the first acknowledgement; on an idle disk some generations are written in this time.
const LONGEST_LIFE_MS = 10;

const WRITER = fileURLToPath(new URL('./kept-writer.child.ts', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-kept-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Kills one writer after the other in one folder; each goes on after what is there. */
async function killWriters(lane: number): Promise<void> {
  const random = seededRandom(SEED * 100 + lane);
  const own = join(folder, String(lane));
  let next = 0;
  for (let round = 0; round < KILLS_PER_LANE; round += 1) {
    const kill = { afterMs: random() * LONGEST_LIFE_MS, first: 'ack' } as const;
    const { acked, errors } = await runLoop([process.execPath, WRITER, own, String(next), '1000000'], kill);
    expect(errors).toBe('');
    const { texts, problems } = await fileStorage(own, 'snapshot').read();
    expect(problems).toEqual([]);
    const last = acked.at(-1) ?? Number.NaN;
    expect([last, last + 1]).toContain(generationOf(texts[0]));
    next = last + 1;
  }
}

it(
  `has a whole generation that is no older than what was acknowledged, ${2 * KILLS_PER_LANE} times`,
  async () => {
    await Promise.all([1, 2].map(killWriters));
  },
  TIMEOUT_MS,
);

/** Without a second file, stopped by its disk in the middle: what a program does that writes in place. */
const careless = (path: string): string => `
  import { open } from 'node:fs/promises';
  const file = await open(${JSON.stringify(path)}, 'r+');
  await file.write('understudy-kept-1 half of', 0);
  process.stdout.write('half\\n');
  await new Promise((resolve) => setTimeout(resolve, 60_000));`;

it('would not, were it written in place (the planted bug)', async () => {
  await fileStorage(folder, 'snapshot').write('0 whole', '0');
  const code = careless(join(folder, 'snapshot.snapshot'));
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.once('data', () => child.kill('SIGKILL'));
  await once(child, 'close');
  const { texts, problems } = await fileStorage(folder, 'snapshot').read();
  expect([texts, problems.length]).toEqual([[], 1]);
});
