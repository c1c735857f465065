/** The contract of commits and of the documents they make: all or nothing, once, and only on what was read. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commitOf, decide, DECISION, ENVIRONMENT, type OpenStore, put, raceForOneRevision, writeTo } from './samples.contract.ts';
import type { Store } from './store.ts';

export function testCommits(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(async () => {
    await store.close();
  });

  describe('documents', () => {
    it('is empty at revision 0', async () => {
      expect(await store.revision(ENVIRONMENT)).toBe(0);
      expect(await store.readAll(ENVIRONMENT)).toEqual({ revision: 0, documents: [] });
      expect(await store.read(ENVIRONMENT, 'model', 'fraud')).toBeUndefined();
      expect(await store.verifyJournal(ENVIRONMENT)).toEqual({ intact: true, entries: 0, head: '0'.repeat(64) });
    });

    it('reads back what was committed, with the revision that wrote it', async () => {
      const body = { nested: { list: [1, 'two', null, true, 0.1] }, 'ключ "': '\u0000\ud83d\ude00', empty: {} };
      expect(await store.commit(put('fraud', 0, body))).toEqual({ outcome: 'committed', revision: 1 });
      expect(await store.read(ENVIRONMENT, 'model', 'fraud')).toEqual({ kind: 'model', id: 'fraud', revision: 1, body });
    });

    it('counts revisions per environment and keeps environments apart', async () => {
      await store.commit(put('fraud', 0, 1));
      await store.commit(put('fraud', 1, 2));
      const other = { ...put('fraud', 0, 3), environment: 'staging' };
      expect(await store.commit(other)).toEqual({ outcome: 'committed', revision: 1 });
      expect(await store.revision(ENVIRONMENT)).toBe(2);
      expect((await store.read('staging', 'model', 'fraud'))?.body).toBe(3);
      expect((await store.read(ENVIRONMENT, 'model', 'fraud'))?.body).toBe(2);
      expect(await store.journal('staging', { limit: 10 })).toHaveLength(1);
    });

    it('deletes, and lets the id be used again', async () => {
      await store.commit(put('fraud', 0, 1));
      await store.commit(commitOf([writeTo('fraud', 1)]));
      expect(await store.read(ENVIRONMENT, 'model', 'fraud')).toBeUndefined();
      expect(await store.commit(put('fraud', 1, 2))).toMatchObject({ outcome: 'conflict', actualRevision: 0 });
      expect(await store.commit(put('fraud', 0, 2))).toEqual({ outcome: 'committed', revision: 3 });
    });

    it('lists one kind by id, and takes a prefix literally', async () => {
      const ids = ['b', 'a_1', 'aX1', 'a%1', 'a'];
      await store.commit(commitOf(ids.map((id) => writeTo(id, 0, id))));
      await store.commit(commitOf([{ kind: 'plan', id: 'a', expectedRevision: 0, body: 'a plan' }]));
      const idsOf = async (prefix?: string) => (await store.list(ENVIRONMENT, 'model', prefix)).map(({ id }) => id);
      expect(await idsOf()).toEqual(['a', 'a%1', 'aX1', 'a_1', 'b']);
      expect(await idsOf('a_')).toEqual(['a_1']);
      expect(await idsOf('a%')).toEqual(['a%1']);
      expect(await idsOf('c')).toEqual([]);
    });

    it('reads all documents at one revision while commits go on', async () => {
      await store.commit(commitOf([writeTo('left', 0, 1), writeTo('right', 0, 1)]));
      const writing = (async () => {
        for (let revision = 1; revision < 30; revision += 1) {
          const writes = [writeTo('left', revision, revision + 1), writeTo('right', revision, revision + 1)];
          await store.commit(commitOf(writes));
        }
      })();
      for (let round = 0; round < 30; round += 1) {
        const { revision, documents } = await store.readAll(ENVIRONMENT);
        expect(documents.map(({ body }) => body)).toEqual([revision, revision]);
      }
      await writing;
    });
  });

  describe('compare-and-set', () => {
    it.each([
      { name: 'creating what exists', id: 'fraud', expectedRevision: 0, actualRevision: 2 },
      { name: 'changing what was changed meanwhile', id: 'fraud', expectedRevision: 1, actualRevision: 2 },
      { name: 'changing what does not exist', id: 'other', expectedRevision: 1, actualRevision: 0 },
      { name: 'changing what is not there yet', id: 'fraud', expectedRevision: 3, actualRevision: 2 },
    ])('refuses $name', async ({ id, expectedRevision, actualRevision }) => {
      await store.commit(put('fraud', 0, 1));
      await store.commit(put('fraud', 1, 2));
      const refused = { outcome: 'conflict', kind: 'model', id, expectedRevision, actualRevision };
      expect(await store.commit(put(id, expectedRevision, 3))).toEqual(refused);
      expect(await store.revision(ENVIRONMENT)).toBe(2);
    });

    it('changes nothing when one of several writes conflicts', async () => {
      await store.commit(commitOf([writeTo('a', 0, 1), writeTo('b', 0, 1)]));
      await store.commit(put('b', 1, 2));
      const before = await store.readAll(ENVIRONMENT);
      const writes = [writeTo('a', 1, 9), writeTo('c', 0, 9), writeTo('b', 1)];
      const commit = commitOf(writes, {
        decision: { rollout: 'r', window: 1, decision: DECISION },
        idempotency: { key: 'k', request: 'd', answer: 1 },
      });
      expect(await store.commit(commit)).toMatchObject({ outcome: 'conflict', id: 'b', actualRevision: 2 });
      expect(await store.readAll(ENVIRONMENT)).toEqual(before);
      expect(await store.journal(ENVIRONMENT, { limit: 10 })).toHaveLength(2);
      expect(await store.decisions(ENVIRONMENT, 'r', 10)).toEqual([]);
      expect(await store.findIdempotent(ENVIRONMENT, 'k')).toBeUndefined();
    });

    it('lets exactly one of two racing commits win', async () => {
      expect((await raceForOneRevision(store)).toSorted()).toEqual(['committed', 'conflict']);
    });

    it('lets every increment of many racing writers count once', async () => {
      await store.commit(put('counter', 0, 0));
      const increment = async (): Promise<void> => {
        const read = await store.read(ENVIRONMENT, 'model', 'counter');
        const result = await store.commit(put('counter', read?.revision ?? 0, Number(read?.body) + 1));
        if (result.outcome !== 'committed') await increment();
      };
      await Promise.all(Array.from({ length: 20 }, increment));
      expect((await store.read(ENVIRONMENT, 'model', 'counter'))?.body).toBe(20);
    });
  });

  describe('idempotency keys', () => {
    const once = (key: string, answer: number, id = 'fraud') => ({
      ...put(id, 0, answer),
      idempotency: { key, request: `digest-${answer}`, answer: { answer } },
    });

    it('answers a repeated key with the first answer and changes nothing', async () => {
      await store.commit(once('key-1', 1));
      const record = { key: 'key-1', request: 'digest-1', answer: { answer: 1 } };
      expect(await store.commit(once('key-1', 2, 'other'))).toEqual({ outcome: 'replayed', record });
      expect(await store.findIdempotent(ENVIRONMENT, 'key-1')).toEqual(record);
      expect(await store.findIdempotent('staging', 'key-1')).toBeUndefined();
      expect(await store.revision(ENVIRONMENT)).toBe(1);
    });

    it('does it once when two calls with one key race', async () => {
      const results = await Promise.all([store.commit(once('key-1', 1)), store.commit(once('key-1', 1))]);
      expect(results.map(({ outcome }) => outcome).toSorted()).toEqual(['committed', 'replayed']);
      expect(await store.revision(ENVIRONMENT)).toBe(1);
    });

    it('keeps keys of environments apart', async () => {
      await store.commit(once('key-1', 1));
      expect(await store.commit({ ...once('key-1', 1), environment: 'staging' })).toMatchObject({ outcome: 'committed' });
    });
  });

  describe('decisions', () => {
    it('decides a window of a rollout once, whoever comes second', async () => {
      const results = await Promise.all([store.commit(decide('r1', 7)), store.commit(decide('r1', 7, { actor: 'other' }))]);
      expect(results).toContainEqual({ outcome: 'already-decided', rollout: 'r1', window: 7 });
      expect(await store.revision(ENVIRONMENT)).toBe(1);
      expect(await store.commit(decide('r1', 8))).toMatchObject({ outcome: 'committed' });
      expect(await store.commit(decide('r2', 7))).toMatchObject({ outcome: 'committed' });
      expect(await store.commit(decide('r1', 7, { environment: 'staging' }))).toMatchObject({ outcome: 'committed' });
    });

    it('reads them newest first, as they were made', async () => {
      for (const window of [1, 2, 3]) await store.commit(decide('r1', window, { atMs: window }));
      await store.commit(decide('r2', 1));
      const decisions = await store.decisions(ENVIRONMENT, 'r1', 2);
      expect(decisions).toEqual([3, 2].map((n) => ({ rollout: 'r1', window: n, revision: n, atMs: n, decision: DECISION })));
    });

    it('writes the rollout only together with its decision', async () => {
      await store.commit(decide('r1', 1));
      const again = decide('r1', 1, { writes: [writeTo('fraud', 0, 1)] });
      expect(await store.commit(again)).toMatchObject({ outcome: 'already-decided' });
      expect(await store.read(ENVIRONMENT, 'model', 'fraud')).toBeUndefined();
    });
  });

  describe('refusals', () => {
    it('says first that a call is repeated, then that a window is decided, then what conflicts', async () => {
      const commit = commitOf([writeTo('fraud', 0, 1)], {
        decision: { rollout: 'r1', window: 1, decision: DECISION },
        idempotency: { key: 'k', request: 'd', answer: 1 },
      });
      await store.commit(commit);
      expect(await store.commit(commit)).toMatchObject({ outcome: 'replayed' });
      const { idempotency: _, ...withoutKey } = commit;
      expect(await store.commit(withoutKey)).toMatchObject({ outcome: 'already-decided' });
      expect(await store.commit(put('fraud', 0, 1))).toMatchObject({ outcome: 'conflict' });
    });

    it.each([
      { name: 'has neither writes nor a decision', commit: commitOf([]) },
      { name: 'writes a document twice', commit: commitOf([writeTo('a', 0, 1), writeTo('a', 0, 2)]) },
      { name: 'deletes what must not exist', commit: commitOf([writeTo('a', 0)]) },
      { name: 'writes null, which the journal reads as absent', commit: put('a', 0, null) },
      { name: 'carries a number that JSON cannot say', commit: put('a', 0, { x: Number.NaN }) },
    ])('is a bug when a commit $name', async ({ commit }) => {
      await expect(store.commit(commit)).rejects.toThrow(expect.objectContaining({ name: 'Error' }));
      expect(await store.readAll(ENVIRONMENT)).toEqual({ revision: 0, documents: [] });
    });
  });

  it('tells listeners of commits, and of nothing else', async () => {
    const heard: [string, number][] = [];
    const stop = store.onCommit((environment, revision) => heard.push([environment, revision]));
    await store.commit(put('fraud', 0, 1));
    await store.commit(put('fraud', 0, 2));
    await expect.poll(() => heard).toEqual([[ENVIRONMENT, 1]]);
    stop();
    await store.commit(put('fraud', 1, 3));
    await store.readAll(ENVIRONMENT);
    expect(heard).toEqual([[ENVIRONMENT, 1]]);
  });
}
