/** The contract of the journal: every commit, in order, as it was, chained. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalJson } from './canonical-json.ts';
import { commitOf, decide, ENVIRONMENT, type OpenStore, put, writeTo } from './samples.contract.ts';
import type { JournalQuery, Store } from './store.ts';

export function testJournal(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(async () => {
    await store.close();
  });

  it('says who changed what when and why, before and after', async () => {
    await store.commit(put('fraud', 0, { a: 1 }));
    await store.commit(
      commitOf([writeTo('fraud', 1, { a: 2 }), { kind: 'plan', id: 'p', expectedRevision: 0, body: 'x' }], {
        actor: 'grace',
        action: 'model.renamed',
        reason: 'a better name',
        atMs: 12.25,
      }),
    );
    await store.commit(commitOf([writeTo('fraud', 2)]));
    const entries = await store.journal(ENVIRONMENT, { limit: 10 });
    expect(entries.map(({ changes }) => changes)).toEqual([
      [{ kind: 'model', id: 'fraud', before: null, after: { a: 1 } }],
      [
        { kind: 'model', id: 'fraud', before: { a: 1 }, after: { a: 2 } },
        { kind: 'plan', id: 'p', before: null, after: 'x' },
      ],
      [{ kind: 'model', id: 'fraud', before: { a: 2 }, after: null }],
    ]);
    expect(entries[1]).toMatchObject({
      environment: ENVIRONMENT,
      revision: 2,
      actor: 'grace',
      action: 'model.renamed',
      reason: 'a better name',
      atMs: 12.25,
    });
  });

  it('chains the entries by hashes that anybody can recompute', async () => {
    for (let revision = 0; revision < 4; revision += 1) await store.commit(put('fraud', revision, { é: revision, b: [1] }));
    await store.commit(decide('r1', 1));
    let previous = '0'.repeat(64);
    for (const { hash, previousHash, ...content } of await store.journal(ENVIRONMENT, { limit: 10 })) {
      expect(previousHash).toBe(previous);
      const json = canonicalJson({ ...content, changes: content.changes.map((change) => ({ ...change })) });
      expect(hash).toBe(createHash('sha256').update(`${previous}${json}`).digest('hex'));
      previous = hash;
    }
    expect(await store.verifyJournal(ENVIRONMENT)).toEqual({ intact: true, entries: 5, head: previous });
  });

  it('finds long journals intact while commits go on', async () => {
    for (let revision = 0; revision < 450; revision += 1) await store.commit(put('fraud', revision, revision));
    const check = store.verifyJournal(ENVIRONMENT);
    for (let revision = 450; revision < 470; revision += 1) await store.commit(put('fraud', revision, revision));
    expect(await check).toMatchObject({ intact: true });
    expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries: 470 });
  });

  describe('queries', () => {
    const rows: readonly { readonly name: string; readonly query: JournalQuery; readonly revisions: readonly number[] }[] = [
      { name: 'everything, oldest first', query: { limit: 10 }, revisions: [1, 2, 3, 4, 5, 6] },
      { name: 'newest first', query: { limit: 2, order: 'newest-first' }, revisions: [6, 5] },
      { name: 'after a revision', query: { limit: 2, afterRevision: 2 }, revisions: [3, 4] },
      { name: 'before a revision', query: { limit: 2, beforeRevision: 4, order: 'newest-first' }, revisions: [3, 2] },
      { name: 'between two', query: { limit: 9, afterRevision: 1, beforeRevision: 4 }, revisions: [2, 3] },
      { name: 'one document', query: { limit: 9, subject: { kind: 'model', id: 'even' } }, revisions: [2, 4, 6] },
      {
        name: 'one document, the newest',
        query: { limit: 1, subject: { kind: 'model', id: 'even' }, order: 'newest-first', beforeRevision: 6 },
        revisions: [4],
      },
      { name: 'a document of another kind', query: { limit: 9, subject: { kind: 'plan', id: 'even' } }, revisions: [] },
      { name: 'nothing', query: { limit: 0 }, revisions: [] },
    ];

    it.each(rows)('gives $name', async ({ query, revisions }) => {
      const last = { even: 0, odd: 0 };
      for (let revision = 1; revision <= 6; revision += 1) {
        const id = revision % 2 === 0 ? 'even' : 'odd';
        await store.commit(put(id, last[id], revision));
        last[id] = revision;
      }
      expect((await store.journal(ENVIRONMENT, query)).map(({ revision }) => revision)).toEqual(revisions);
    });
  });
}
