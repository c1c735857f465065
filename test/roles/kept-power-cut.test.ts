// A machine that loses its power while a gateway keeps its snapshot: what was acknowledged is there (F22).
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileStorage } from '@understudy/feed/file-storage';
import { describe, expect, it } from 'vitest';
import { runLoop } from '../../packages/server/src/storage/crash/child.ts';
import { type CrashImage, crashImages } from '../../packages/server/src/storage/crash/power-cut.ts';
import { openScratch } from '../../packages/server/src/storage/crash/scratch.contract.ts';
import { seededRandom } from '../../packages/server/src/storage/crash/seeded-random.ts';
import { type DiskEvent, parseSyscalls, straceArguments } from '../../packages/server/src/storage/crash/syscall-log.ts';
import { generationOf, textOf } from './kept-text.ts';

const FACTOR = Number(process.env['UNDERSTUDY_CRASH_FACTOR'] ?? 1);
const SEED = Number(process.env['UNDERSTUDY_CRASH_SEED'] ?? 1);
const IMAGES = Math.round(250 * FACTOR);
const TIMEOUT_MS = 60_000 * Math.max(1, FACTOR);

const WRITER = fileURLToPath(new URL('./kept-writer.child.ts', import.meta.url));
// As a gateway makes it in its data directory, which is new, too.
const FOLDER = 'data/gateway';

const newDirectory = openScratch('kept');

/** One run of the writer. It goes on with what the run before it has not acknowledged. */
interface Life {
  readonly generations: number;
  /** Arguments for strace: what goes wrong in it. */
  readonly fault?: string;
}

/** The events on the disk of several lives, one after the other, in one folder that is not there yet. */
async function record(lives: readonly Life[]): Promise<readonly DiskEvent[]> {
  const directory = newDirectory();
  let [next, logs] = [0, ''];
  for (const { generations, fault } of lives) {
    const log = `${directory}.log`;
    // With one thread, a fault at the n-th call of its kind is always at the same place.
    const tracer = [...straceArguments(log), '-E', 'UV_THREADPOOL_SIZE=1', ...(fault === undefined ? [] : ['-e', fault])];
    const task = [path.join(directory, FOLDER), String(next), String(generations)];
    const { acked, errors, exitCode } = await runLoop([...tracer, process.execPath, WRITER, ...task]);
    expect({ errors, exitCode }).toEqual({ errors: '', exitCode: fault?.includes('signal=KILL') === true ? null : 0 });
    next = (acked.at(-1) ?? next - 1) + 1;
    logs += readFileSync(log, 'latin1');
  }
  return parseSyscalls(logs, directory);
}

type Found = 'all' | 'damage' | 'loss';

/** What a gateway finds that starts on an image. Whatever it is, it is what was written, and the next one can be kept. */
async function findIn({ files, acked }: CrashImage): Promise<Found> {
  const directory = newDirectory();
  for (const [name, content] of files) {
    mkdirSync(path.join(directory, path.dirname(name)), { recursive: true });
    writeFileSync(path.join(directory, name), content);
  }
  const storage = fileStorage(path.join(directory, FOLDER), 'snapshot');
  const { texts, problems } = await storage.read();
  const [newest = -1] = texts.map((text) => generationOf(text) ?? Number.NaN);
  const last = acked.at(-1) ?? -1;
  expect(newest).toBeLessThanOrEqual(last + 1);
  await storage.write(textOf(last + 2), String(last + 2));
  expect((await storage.read()).texts[0]).toBe(textOf(last + 2));
  rmSync(directory, { recursive: true });
  if (newest < last) return 'loss';
  return problems.length > 0 ? 'damage' : 'all';
}

/** Cuts the power at random moments and counts what was found afterwards. */
async function cutPower(events: readonly DiskEvent[], images: number): Promise<Record<Found, number>> {
  const random = seededRandom(SEED);
  const moments = Array.from({ length: images }, () => 1 + Math.floor(random() * events.length)).toSorted((a, b) => a - b);
  const counts = { all: 0, damage: 0, loss: 0 };
  for (const image of crashImages(events, moments, random)) counts[await findIn(image)] += 1;
  if (process.env['UNDERSTUDY_CRASH_SHOW'] === '1') process.stderr.write(`${events.length} events: ${JSON.stringify(counts)}\n`);
  return counts;
}

/** Lives that end at one of their first calls of a kind, by turns. */
function killedLives(): readonly Life[] {
  const random = seededRandom(SEED);
  return Array.from({ length: 24 }, (_, life) => {
    const nth = 1 + Math.floor(random() * 8);
    return { generations: 10, fault: `inject=${life % 3 === 2 ? 'rename' : 'fsync'}:signal=KILL:when=${nth}` };
  });
}

describe('a power cut', () => {
  it.each<{ who: string; lives: readonly Life[] }>([
    { who: 'a writer', lives: [{ generations: 80 }] },
    { who: 'writers that were killed and started again', lives: killedLives() },
  ])(
    `leaves what was acknowledged, or the one after it, whatever the disk kept of the rest: $who, ${IMAGES} times`,
    async ({ lives }) => {
      expect(await cutPower(await record(lives), IMAGES)).toEqual({ all: IMAGES, damage: 0, loss: 0 });
    },
    TIMEOUT_MS,
  );

  // Strace answers these calls itself, so that they never reach the disk. The first ones are for the folders above, from the
  // nearest on; then for each text one for the file and one for the folder.
  const first = { generations: 1 };
  const forgetting = (when: string): Life => ({ generations: 40, fault: `inject=fsync:retval=0:when=${when}` });
  it.each<{ what: string; lives: readonly Life[] }>([
    { what: 'anything', lives: [first, forgetting('1+1')] },
    { what: 'the file', lives: [first, forgetting('1+2')] },
    { what: 'the folder', lives: [first, forgetting('2+2')] },
    { what: 'the folder above it', lives: [forgetting('1')] },
  ])(
    'would leave less if the writer did not sync $what (the planted bug)',
    async ({ lives }) => {
      const events = await record(lives);
      const images = Math.ceil(IMAGES / 5);
      expect((await cutPower(events, images)).loss).toBeGreaterThan(images / 4);
    },
    TIMEOUT_MS,
  );
});

describe('an fsync that fails', () => {
  it.each(Array.from({ length: 12 }, (_, before) => before + 1))(
    'is not taken for one that kept the text: number %i',
    async (nth) => {
      const directory = newDirectory();
      const tracer = [
        ...straceArguments(`${directory}.log`),
        '-E',
        'UV_THREADPOOL_SIZE=1',
        '-e',
        `inject=fsync:error=EIO:when=${nth}`,
      ];
      const { acked, errors, exitCode } = await runLoop([
        ...tracer,
        process.execPath,
        WRITER,
        path.join(directory, FOLDER),
        '0',
        '10',
      ]);
      expect({ exitCode, says: /EIO: i\/o error, fsync/.test(errors), isWhole: acked.length === 10 }).toEqual({
        exitCode: 1,
        says: true,
        isWhole: false,
      });
      const { texts, problems } = await fileStorage(path.join(directory, FOLDER), 'snapshot').read();
      expect(problems).toEqual([]);
      expect(generationOf(texts[0]) ?? -1).toBeGreaterThanOrEqual(acked.at(-1) ?? -1);
    },
  );
});
