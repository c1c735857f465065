/** The contract of a store that several processes work on at once: two control planes are two stores on one database. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { blockOf, decide, ENVIRONMENT, type OpenStore, put, reportOf } from './samples.contract.ts';
import type { CommitResult, Store } from './store.ts';

/** Makes an empty place and gives what opens stores on it, as often as it is called. */
export type OpenPlace = () => Promise<OpenStore>;

const STORES = 3;

/** Each of two processes changes what both read at one revision. Exactly one may win. */
export async function raceBetween([left, right]: readonly [Store, Store]): Promise<readonly CommitResult['outcome'][]> {
  await left.commit(put('fraud', 0, { step: 0 }));
  const results = await Promise.all([left.commit(put('fraud', 1, { step: 1 })), right.commit(put('fraud', 1, { step: 2 }))]);
  return results.map(({ outcome }) => outcome).toSorted();
}

export function testSharedStore(openPlace: OpenPlace): void {
  let stores: readonly Store[] = [];
  beforeEach(async () => {
    const open = await openPlace();
    stores = await Promise.all(Array.from({ length: STORES }, open));
  });
  afterEach(async () => {
    for (const store of stores) {
      expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true });
      await store.close();
    }
  });
  const pair = (): readonly [Store, Store] => {
    const [left, right] = stores;
    if (left === undefined || right === undefined) throw new Error('no stores');
    return [left, right];
  };
  const outcomesOf = (results: readonly CommitResult[]) => results.map(({ outcome }) => outcome).toSorted();

  it('lets exactly one of two processes change what both read', async () => {
    expect(await raceBetween(pair())).toEqual(['committed', 'conflict']);
  });

  it('shows an acknowledged change to every process at once', async () => {
    const [left, right] = pair();
    for (let revision = 0; revision < 10; revision += 1) {
      await (revision % 2 === 0 ? left : right).commit(put('fraud', revision, revision));
      for (const store of stores) {
        expect(await store.revision(ENVIRONMENT)).toBe(revision + 1);
        expect((await store.read(ENVIRONMENT, 'model', 'fraud'))?.body).toBe(revision);
      }
    }
  });

  it('counts every increment of writers in all processes once', async () => {
    await pair()[0].commit(put('counter', 0, 0));
    const increment = async (store: Store): Promise<void> => {
      const read = await store.read(ENVIRONMENT, 'model', 'counter');
      const result = await store.commit(put('counter', read?.revision ?? 0, Number(read?.body) + 1));
      if (result.outcome !== 'committed') await increment(store);
    };
    await Promise.all(stores.flatMap((store) => Array.from({ length: 5 }, () => increment(store))));
    expect((await pair()[1].read(ENVIRONMENT, 'model', 'counter'))?.body).toBe(STORES * 5);
  });

  it('takes changes to different documents from all processes', async () => {
    const changes = stores.flatMap((store, place) =>
      Array.from({ length: 5 }, (_, n) => store.commit(put(`m${place}-${n}`, 0, n))),
    );
    expect(new Set(outcomesOf(await Promise.all(changes)))).toEqual(new Set(['committed']));
    expect(await pair()[0].revision(ENVIRONMENT)).toBe(STORES * 5);
  });

  it('decides each window once, whichever processes decide', async () => {
    for (let window = 0; window < 5; window += 1) {
      const results = await Promise.all(
        stores.map((store, place) => store.commit(decide('r1', window, { actor: `engine-${place}` }))),
      );
      expect(outcomesOf(results)).toEqual(['already-decided', 'already-decided', 'committed']);
    }
    expect(await pair()[0].decisions(ENVIRONMENT, 'r1', 100)).toHaveLength(5);
  });

  it('does a change once when it is asked of all processes under one key', async () => {
    const commit = { ...put('fraud', 0, 1), idempotency: { key: 'k', request: 'd', answer: 1 } };
    const results = await Promise.all(stores.map((store) => store.commit(commit)));
    expect(outcomesOf(results)).toEqual(['committed', 'replayed', 'replayed']);
    expect(await pair()[0].revision(ENVIRONMENT)).toBe(1);
  });

  it('tells each process of the changes of the others, and of its own once', async () => {
    const heard = stores.map((): [string, number][] => []);
    for (const [place, store] of stores.entries()) store.onCommit((...told) => heard[place]?.push(told));
    await pair()[0].commit(put('fraud', 0, 1));
    await expect.poll(() => heard, { timeout: 10_000 }).toEqual(stores.map(() => [[ENVIRONMENT, 1]]));
    await pair()[1].commit(put('fraud', 1, 2));
    await expect.poll(() => heard.map((told) => told.at(-1)), { timeout: 10_000 }).toEqual(stores.map(() => [ENVIRONMENT, 2]));
  });

  it('stores a report once, whichever processes it is sent to', async () => {
    const report = reportOf(1, { blocks: [blockOf('fraud', 1), blockOf('churn', 2)] });
    const outcomes = await Promise.all(stores.map((store) => store.appendReport(ENVIRONMENT, report, 5)));
    expect(outcomes.toSorted()).toEqual(['duplicate', 'duplicate', 'stored']);
    expect(await pair()[0].evidence(ENVIRONMENT, { afterCursor: 0, limit: 10 })).toHaveLength(2);
  });

  it('has read, behind its seal, everything that was ever seen before it', async () => {
    const [reader, ...writers] = stores;
    if (reader === undefined) throw new Error('no stores');
    let isDone = false;
    const writing = Promise.all(
      writers.map(async (store, place) => {
        for (let sequence = 0; sequence < 100; sequence += 1) {
          const blocks = [blockOf('fraud', sequence)];
          // By a clock that stands still: only the seals say when.
          await store.appendReport(ENVIRONMENT, reportOf(sequence, { gateway: `gw-${place}`, blocks }), 0);
        }
      }),
    ).finally(() => {
      isDone = true;
    });
    const read: { readonly sealMs: number; readonly count: number }[] = [];
    for (let sealMs = 1; !isDone; sealMs += 1) {
      await reader.sealEvidence(ENVIRONMENT, sealMs);
      read.push({ sealMs, count: (await reader.evidence(ENVIRONMENT, { afterCursor: 0, limit: 1000 })).length });
    }
    await writing;
    const stored = await reader.evidence(ENVIRONMENT, { afterCursor: 0, limit: 1000 });
    expect(stored).toHaveLength(200);
    expect(new Set(read.map(({ count }) => count)).size).toBeGreaterThan(2);
    for (const { sealMs, count } of read) {
      const late = stored.slice(count).filter(({ seenAtMs }) => seenAtMs < sealMs);
      expect(late, `seen before the seal ${sealMs} and not read behind it`).toEqual([]);
    }
  });

  it('misses no evidence that others store while it reads on', async () => {
    const [reader] = pair();
    const count = 60;
    let isDone = false;
    const writing = Promise.all(
      stores.map(async (store, place) => {
        for (let sequence = 0; sequence < count; sequence += 1) {
          const blocks = [blockOf('fraud', place * count + sequence), blockOf('churn', 0)];
          await store.appendReport(ENVIRONMENT, reportOf(sequence, { gateway: `gw-${place}`, blocks }), sequence);
        }
      }),
    ).finally(() => {
      isDone = true;
    });
    const seen: number[] = [];
    let afterCursor = 0;
    for (;;) {
      const wasDone = isDone;
      const blocks = await reader.evidence(ENVIRONMENT, { afterCursor, limit: 7 });
      seen.push(...blocks.filter(({ block }) => block.model === 'fraud').map(({ block }) => block.startMs));
      afterCursor = blocks.at(-1)?.cursor ?? afterCursor;
      if (wasDone && blocks.length === 0) break;
    }
    await writing;
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: STORES * count }, (_, n) => n));
    const stored = await reader.evidence(ENVIRONMENT, { afterCursor: 0, limit: 1000 });
    const times = stored.map(({ seenAtMs }) => seenAtMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });
}
