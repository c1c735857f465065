// Bits that flip in the database file and in its log. Counts are those of a pull request; UNDERSTUDY_CRASH_FACTOR multiplies them.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isAppError } from '@understudy/core/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blockOf, decide, put, reportOf, writeTo, commitOf } from '../samples.contract.ts';
import { acknowledgedFileOf } from '../sqlite-acknowledged.ts';
import { openSqliteStore } from '../sqlite-store.ts';
import type { Store } from '../store.ts';
import { ENVIRONMENT } from './operations.ts';
import { seededRandom } from './seeded-random.ts';

const FACTOR = Number(process.env['UNDERSTUDY_CRASH_FACTOR'] ?? 1);
const SEED = Number(process.env['UNDERSTUDY_CRASH_SEED'] ?? 1);
const FLIPS = Math.round(100 * FACTOR);
const TIMEOUT_MS = 120_000 * Math.max(1, FACTOR);

const root = mkdtempSync(path.join(tmpdir(), 'understudy-flip-'));
afterAll(() => rmSync(root, { recursive: true }));
const NAMES = ['state.db', 'state.db-wal', path.basename(acknowledgedFileOf('state.db'))];
const reopen = (directory: string): Promise<Store> => openSqliteStore(path.join(directory, 'state.db'), { ballastBytes: 0 });

/** Forty changes of everything there is, with evidence in between. */
async function writeWorld(store: Store): Promise<void> {
  for (let n = 0; n < 40; n += 1) {
    const revision = await store.revision(ENVIRONMENT);
    const present = await store.read(ENVIRONMENT, 'model', `m${n % 7}`);
    const body = { n, threshold: 0.125 * n, notes: 'y'.repeat((n * 131) % 900) };
    const key = { idempotency: { key: `k${n}`, request: 'digest', answer: n } };
    await store.commit({ ...put(`m${n % 7}`, present?.revision ?? 0, body), atMs: n, ...key });
    if (n % 5 === 4) await store.commit(decide('r1', revision));
    await store.appendReport(ENVIRONMENT, reportOf(n, { blocks: [blockOf('m1', n)] }), n);
  }
  const last = await store.read(ENVIRONMENT, 'model', 'm6');
  await store.commit(commitOf([writeTo('m6', last?.revision ?? 0)]));
}

/** What the store tells: the state that everything is decided on, and what else it remembers. */
async function contentOf(store: Store) {
  const state = JSON.stringify([await store.readAll(ENVIRONMENT), await store.revision(ENVIRONMENT)]);
  const history = JSON.stringify(await store.journal(ENVIRONMENT, { limit: 1000 }));
  const decisions = await store.decisions(ENVIRONMENT, 'r1', 100);
  const keys = await Promise.all(Array.from({ length: 40 }, (_, n) => store.findIdempotent(ENVIRONMENT, `k${n}`)));
  const evidence = await store.evidence(ENVIRONMENT, { afterCursor: 0, limit: 1000 });
  return { state, history, rest: JSON.stringify([decisions, keys, evidence, await store.gateways(ENVIRONMENT)]) };
}
type Content = Awaited<ReturnType<typeof contentOf>>;

type Found = 'at the start' | 'when read' | 'by the check of the journal' | 'not in the chain' | 'no harm' | 'believed';

/** What becomes of files that are not what they were. */
async function fateOf(directory: string, before: Content): Promise<Found> {
  let store: Store;
  try {
    store = await reopen(directory);
  } catch (error) {
    expectRefusal(error);
    return 'at the start';
  }
  try {
    const after = await contentOf(store);
    const { intact } = await store.verifyJournal(ENVIRONMENT);
    if (!intact) return after.state === before.state ? 'by the check of the journal' : 'believed';
    if (after.state !== before.state || after.history !== before.history) return 'believed';
    return after.rest === before.rest ? 'no harm' : 'not in the chain';
  } catch (error) {
    expectRefusal(error);
    return 'when read';
  } finally {
    await store.close();
  }
}

function expectRefusal(error: unknown): void {
  if (!isAppError(error)) throw error;
  expect({ code: error.code, message: error.message }).toEqual({
    code: 'store.corrupt',
    message: expect.stringContaining('understudy store restore'),
  });
}

function flipIn(file: string, random: () => number): void {
  const bytes = readFileSync(file);
  const place = Math.floor(random() * bytes.length);
  bytes[place] = (bytes[place] ?? 0) ^ (1 << Math.floor(random() * 8));
  writeFileSync(file, bytes);
}

describe('a flipped bit (F05)', () => {
  const pristine = { closed: path.join(root, 'closed'), killed: path.join(root, 'killed') };
  let before: Content;
  beforeAll(async () => {
    for (const directory of Object.values(pristine)) mkdirSync(directory);
    const store = await reopen(pristine.closed);
    await writeWorld(store);
    before = await contentOf(store);
    // As a kill leaves it: what was acknowledged is in the log.
    copyWorld(pristine.closed, pristine.killed);
    await store.close();
  });

  function copyWorld(from: string, to: string): void {
    for (const name of NAMES) if (existsSync(path.join(from, name))) copyFileSync(path.join(from, name), path.join(to, name));
  }

  async function flipOften(from: string, name: string, change: (directory: string) => void = () => undefined) {
    const random = seededRandom(SEED);
    const counts = new Map<Found, number>();
    for (let flip = 0; flip < FLIPS; flip += 1) {
      const directory = mkdtempSync(path.join(root, 'flipped-'));
      copyWorld(from, directory);
      flipIn(path.join(directory, name), random);
      change(directory);
      const found = await fateOf(directory, before);
      counts.set(found, (counts.get(found) ?? 0) + 1);
      rmSync(directory, { recursive: true });
    }
    if (process.env['UNDERSTUDY_CRASH_SHOW'] === '1') process.stderr.write(`${name}: ${JSON.stringify([...counts])}\n`);
    return counts;
  }

  it.each([
    { what: 'the file of a server that ended well', from: pristine.closed, name: 'state.db' },
    { what: 'the log of a server that was killed', from: pristine.killed, name: 'state.db-wal' },
    { what: 'the notes of what was acknowledged', from: pristine.killed, name: NAMES[2] ?? '' },
  ])(
    'is refused with what to do, or found by the check of the journal, and never believed: in $what',
    async ({ from, name }) => {
      const counts = await flipOften(from, name);
      expect(counts.get('believed') ?? 0).toBe(0);
      // All of the log is in its checksums, and damaged notes are as good as none.
      if (name === 'state.db-wal') expect([...counts.keys()]).toEqual(['at the start']);
      if (name === NAMES[2]) expect([...counts.keys()]).toEqual(['no harm']);
    },
    TIMEOUT_MS,
  );

  it(
    'would be believed in a log when nobody had noted what was acknowledged',
    async () => {
      const counts = await flipOften(pristine.killed, 'state.db-wal', (directory) =>
        rmSync(path.join(directory, NAMES[2] ?? '')),
      );
      expect(counts.get('believed') ?? 0).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
