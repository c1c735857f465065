// A gateway that is killed in the middle of keeping its snapshot: one of two generations is always whole (F22).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileStorage } from '@understudy/feed/file-storage';
import { expect, it } from 'vitest';

const ROUNDS = 40 * Number(process.env['UNDERSTUDY_CRASH_FACTOR'] ?? 1);
const STORAGE = new URL('../../packages/feed/src/file-storage.ts', import.meta.url).href;

/** Keeps one numbered text after the other, and says each number once it is kept. */
const writer = (folder: string, first: number): string => `
  import { fileStorage } from ${JSON.stringify(STORAGE)};
  const storage = fileStorage(${JSON.stringify(folder)}, 'snapshot');
  for (let count = ${first}; ; count += 1) {
    await storage.write(count + ' ' + 'x'.repeat(100_000), String(count));
    process.stdout.write(count + '\\n');
  }`;

/** The same without a second file, stopped by its disk in the middle: what a program does that writes in place. */
const careless = (folder: string): string => `
  import { open } from 'node:fs/promises';
  const file = await open(${JSON.stringify(join(folder, 'snapshot.snapshot'))}, 'r+');
  await file.write('understudy-kept-1 half of', 0);
  process.stdout.write('0\\n');
  await new Promise((resolve) => setTimeout(resolve, 60_000));`;

/** @returns the last number that was said before the process was killed */
async function killWhileWriting(code: string, afterAcks: number, delayMs: number): Promise<number> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    said += text;
    if (said.split('\n').length > afterAcks) setTimeout(() => child.kill('SIGKILL'), delayMs);
  });
  await once(child, 'close');
  return Number(
    said
      .trimEnd()
      .split('\n')
      .findLast((line) => /^\d+$/.test(line)) ?? -1,
  );
}

it(`has a whole generation that is no older than what was acknowledged, ${ROUNDS} times`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-kept-'));
  try {
    let next = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const acked = await killWhileWriting(writer(folder, next), 1 + (round % 5), (round * 7) % 5);
      const { texts } = await fileStorage(folder, 'snapshot').read();
      const newest = Number(texts[0]?.split(' ')[0]);
      expect(newest).toBeGreaterThanOrEqual(acked);
      expect(newest).toBeLessThanOrEqual(acked + 1);
      expect(texts[0]).toHaveLength(`${newest} `.length + 100_000);
      next = newest + 1;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 120_000);

it('would not, were it written in place (the planted bug)', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-kept-'));
  try {
    await fileStorage(folder, 'snapshot').write('0 whole', '0');
    await killWhileWriting(careless(folder), 1, 0);
    const { texts, problems } = await fileStorage(folder, 'snapshot').read();
    expect([texts, problems.length]).toEqual([[], 1]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
