// Everybody wants the challenger gone at the same moment, and somebody wants it promoted: in every order of what the store is asked.
import { type AppError, isAppError } from '@understudy/core/errors';
import { EMPTY_TALLY } from '@understudy/core/evidence';
import { bucketOfLatency } from '@understudy/core/histogram';
import { isLive, type Rollout } from '@understudy/core/rollout';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CommandContext } from '../../packages/server/src/commands/command.ts';
import { createModel, killModel, promoteVersion } from '../../packages/server/src/commands/models.ts';
import { getModel, getRollout } from '../../packages/server/src/commands/queries.ts';
import { abortRollout, promoteRollout, rollBackRollout, startRollout } from '../../packages/server/src/commands/rollouts.ts';
import { registerVersion } from '../../packages/server/src/commands/versions.ts';
import { type EngineLog, openEngine } from '../../packages/server/src/engine/rollout-engine.ts';
import { openSqliteStore, type SqliteOptions } from '../../packages/server/src/storage/sqlite-store.ts';
import type { JournalEntry, Store } from '../../packages/server/src/storage/store.ts';

const INTERLEAVINGS = 2000;
const MODEL = 'fraud';
const ROLLOUT = `${MODEL}-1`;
const PLAN = {
  name: 'race',
  steps: [
    { trafficPercent: 50, holdMs: 0, minSamples: 20 },
    { trafficPercent: 100, holdMs: 0, minSamples: 0 },
  ],
  policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS },
  checkEveryMs: 1000,
  startCheck: 'warn',
} as const;

const SEED = 14;
let worlds = 0;

async function open(options: SqliteOptions = {}): Promise<AsyncDisposable & { readonly store: Store }> {
  const store = await openSqliteStore(':memory:', options);
  return { store, [Symbol.asyncDispose]: () => store.close() };
}

interface Prepared {
  readonly environment: string;
  readonly atMs: number;
  readonly errors: string[];
}

/** A rollout on its first step, and evidence that its challenger fails every second request. */
async function prepare(store: Store): Promise<Prepared> {
  worlds += 1;
  const environment = `race-${worlds}`;
  let atMs = 1_700_000_000_000;
  const context: CommandContext = { store, environment, clock: { nowMs: () => atMs } };
  const person = { actor: 'token:ana' };
  const source = { kind: 'upstream', url: 'http://127.0.0.1:9', protocol: 'predict', remoteModel: MODEL } as const;
  await createModel(context, person, { name: MODEL });
  for (const version of ['v1', 'v2']) await registerVersion(context, person, { model: MODEL, version, source, note: '' });
  await promoteVersion(context, person, { model: MODEL, version: 'v1', reason: 'first' });
  await startRollout(context, person, { model: MODEL, challenger: 'v2', plan: PLAN, reason: 'try' });
  const readiness = ['v1', 'v2'].map((version) => ({ model: MODEL, version, state: 'ready', detail: 'upstream' }) as const);
  const report = { gateway: 'g1', boot: 'b1', revision: 1, readiness };
  await store.appendReport(environment, { ...report, sequence: 1, blocks: [] }, atMs);
  const errors: string[] = [];
  await openEngine(context, logTo(errors)).tick();
  const block = { model: MODEL, rollout: ROLLOUT, step: 0, startMs: atMs };
  const tally = { ...EMPTY_TALLY, requests: 100, latency: [[bucketOfLatency(20), 100]] } as const;
  atMs += 1000;
  const blocks = [
    { ...block, version: 'v1', arm: 'champion', tally },
    { ...block, version: 'v2', arm: 'challenger', tally: { ...tally, errors: 50 } },
  ] as const;
  await store.appendReport(environment, { ...report, sequence: 2, blocks: [...blocks] }, atMs);
  return { environment, atMs: atMs + 1000, errors };
}

function logTo(errors: string[]): EngineLog {
  const ignore = (): void => undefined;
  return { info: ignore, warn: ignore, error: (fields, event) => void errors.push(`${event} ${JSON.stringify(fields)}`) };
}

/** The store does nothing before the scheduler says so. */
function scheduled(scheduler: fc.Scheduler, store: Store): Store {
  const late = <Arguments extends readonly unknown[], Answer>(
    name: string,
    ask: (...args: Arguments) => Promise<Answer>,
  ): ((...args: Arguments) => Promise<Answer>) => {
    return async (...args) => {
      await scheduler.schedule(Promise.resolve(), name);
      return ask(...args);
    };
  };
  return {
    ...store,
    commit: late('commit', (...args: Parameters<Store['commit']>) => store.commit(...args)),
    read: late('read', (...args: Parameters<Store['read']>) => store.read(...args)),
    list: late('list', (...args: Parameters<Store['list']>) => store.list(...args)),
    readAll: late('readAll', (...args: Parameters<Store['readAll']>) => store.readAll(...args)),
    revision: late('revision', (...args: Parameters<Store['revision']>) => store.revision(...args)),
    findIdempotent: late('findIdempotent', (...args: Parameters<Store['findIdempotent']>) => store.findIdempotent(...args)),
    decisions: late('decisions', (...args: Parameters<Store['decisions']>) => store.decisions(...args)),
    evidence: late('evidence', (...args: Parameters<Store['evidence']>) => store.evidence(...args)),
    gateways: late('gateways', (...args: Parameters<Store['gateways']>) => store.gateways(...args)),
    feedback: late('feedback', (...args: Parameters<Store['feedback']>) => store.feedback(...args)),
  };
}

/** What a commit did to the users of the challenger. */
function effectOf({ changes }: JournalEntry): 'took away' | 'promoted' | undefined {
  const changeOf = (kind: string): { readonly before: unknown; readonly after: unknown } | undefined =>
    changes.find((change) => change.kind === kind);
  const rollout = changeOf('rollout');
  const model = changeOf('model');
  // Both were written by the commands under test a moment ago, and the store parsed them.
  const [before, after] = [rollout?.before as Rollout | null, rollout?.after as Rollout | null];
  if (before !== null && before !== undefined && isLive(before.state) && after !== null && !isLive(after.state)) {
    return after.state.phase === 'promoted' ? 'promoted' : 'took away';
  }
  const championOf = (body: unknown): string | undefined => (body as { readonly champion?: string } | null)?.champion;
  return championOf(model?.before) === 'v2' && championOf(model?.after) === 'v1' ? 'took away' : undefined;
}

const ALLOWED = new Set<AppError['code']>(['rollout.invalid_transition']);

/** How a race ended, in words. */
async function race(store: Store, scheduler: fc.Scheduler): Promise<string> {
  const { environment, atMs, errors } = await prepare(store);
  const context: CommandContext = { store: scheduled(scheduler, store), environment, clock: { nowMs: () => atMs } };
  const wish = { rollout: ROLLOUT, reason: 'race' };
  const before = await store.revision(environment);
  const racers: readonly Promise<unknown>[] = [
    rollBackRollout(context, { actor: 'token:ana' }, wish),
    openEngine(context, logTo(errors)).tick(),
    promoteRollout(context, { actor: 'token:bo' }, wish),
    abortRollout(context, { actor: 'token:cy' }, wish),
    killModel(context, { actor: 'token:di' }, { model: MODEL, reason: 'race' }),
    rollBackRollout(context, { actor: 'token:ed' }, wish),
  ];
  const results = await scheduler.waitFor(Promise.allSettled(racers));
  for (const result of results) {
    if (result.status === 'rejected' && !(isAppError(result.reason) && ALLOWED.has(result.reason.code))) throw result.reason;
  }
  expect(errors).toEqual([]);
  for (const place of [0, 5]) expect(results[place]?.status).toBe('fulfilled');
  const truth = { ...context, store };
  expect((await getModel(truth, MODEL)).champion).toBe('v1');
  expect(isLive((await getRollout(truth, ROLLOUT)).state)).toBe(false);
  const entries = await store.journal(environment, { afterRevision: before, limit: 100 });
  const effects = entries.map(effectOf).filter((effect) => effect !== undefined);
  expect(effects.filter((effect) => effect === 'took away')).toHaveLength(1);
  expect(effects.at(-1)).toBe('took away');
  return `${effects.join(', ')} by ${entries.find((entry) => effectOf(entry) === 'took away')?.action}`;
}

describe('a double rollback', () => {
  it(`takes the challenger away exactly once, in ${INTERLEAVINGS} interleavings`, { timeout: 300_000 }, async () => {
    await using opened = await open();
    const ends = new Set<string>();
    const property = fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      ends.add(await race(opened.store, scheduler));
    });
    await fc.assert(property, { numRuns: INTERLEAVINGS, seed: SEED, endOnFailure: true });
    // Each of them wins some of the races, so every pair of them was tried.
    expect([...ends].toSorted()).toEqual([
      'promoted, took away by model.rolled-back',
      'took away by model.killed',
      'took away by rollout.aborted',
      'took away by rollout.rolled-back',
    ]);
  });

  it('would not pass on a store that overwrites what it did not read', { timeout: 60_000 }, async () => {
    await using opened = await open({ planted: { noCompareAndSet: true } });
    const property = fc.asyncProperty(fc.scheduler(), async (scheduler) => void (await race(opened.store, scheduler)));
    const { failed } = await fc.check(property, { numRuns: 100, seed: SEED, endOnFailure: true });
    expect(failed).toBe(true);
  });
});
