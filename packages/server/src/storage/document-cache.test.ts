import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withDocumentCache } from './document-cache.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { testStoreContract } from './store-contract.ts';
import type { Commit, DocumentKind, Json, Store } from './store.ts';

const ENVIRONMENT = 'production';
const KINDS: readonly DocumentKind[] = ['model', 'version', 'flag'];

// Whatever holds of a store holds of one whose documents are held.
describe.each([true, false])('shared: %s', (isShared) => {
  testStoreContract('a store with held documents', async () =>
    withDocumentCache(await openSqliteStore(':memory:'), { environment: ENVIRONMENT, isShared }),
  );
});

let store: Store;
let cached: Store;
let asked: string[];
beforeEach(async () => {
  store = await openSqliteStore(':memory:');
  asked = [];
  const counted = {
    ...store,
    readAll: (environment: string) => {
      asked.push('readAll');
      return store.readAll(environment);
    },
    journal: (...query: Parameters<Store['journal']>) => {
      asked.push('journal');
      return store.journal(...query);
    },
  };
  cached = withDocumentCache(counted, { environment: ENVIRONMENT, isShared: true });
});
afterEach(() => store.close());

const change = (writes: Commit['writes']): Commit => ({
  environment: ENVIRONMENT,
  writes,
  actor: 'a',
  action: 'x.y',
  reason: 'r',
  atMs: 1,
});

async function put(through: Store, id: string, body: Json | undefined): Promise<void> {
  const known = await store.read(ENVIRONMENT, 'model', id);
  const result = await through.commit(change([{ kind: 'model', id, expectedRevision: known?.revision ?? 0, body }]));
  expect(result.outcome).toBe('committed');
}

it('gives what the store gives, after any changes by anybody', async () => {
  const step = fc.record({
    kind: fc.constantFrom(...KINDS),
    id: fc.constantFrom('a', 'a/1', 'b', 'ä', '🙂', '\uFF00', 'Z'),
    body: fc.option(
      fc.jsonValue().map((value) => ({ value })),
      { nil: undefined },
    ),
    looks: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      for (const { kind, id, body, looks } of steps) {
        const known = await store.read(ENVIRONMENT, kind, id);
        if (known === undefined && body === undefined) continue;
        const write = {
          kind,
          id,
          expectedRevision: known?.revision ?? 0,
          body: body === undefined ? undefined : JSON.parse(JSON.stringify(body)),
        };
        await store.commit(change([write]));
        if (!looks) continue;
        expect(await cached.readAll(ENVIRONMENT)).toEqual(await store.readAll(ENVIRONMENT));
        for (const one of KINDS) {
          for (const prefix of [undefined, 'a', 'ä', 'q']) {
            expect(await cached.list(ENVIRONMENT, one, prefix)).toEqual(await store.list(ENVIRONMENT, one, prefix));
          }
        }
        expect(await cached.read(ENVIRONMENT, kind, id)).toEqual(await store.read(ENVIRONMENT, kind, id));
      }
    }),
    { numRuns: 60 },
  );
});

describe('what is read', () => {
  it('is not asked for again where nobody else changes it, and is what we have committed', async () => {
    let revisions = 0;
    const counted = {
      ...store,
      revision: (environment: string) => {
        revisions += 1;
        return store.revision(environment);
      },
    };
    const own = withDocumentCache(counted, { environment: ENVIRONMENT, isShared: false });
    for (let count = 1; count <= 5; count += 1) {
      await put(own, 'a', { count });
      for (let read = 0; read < 3; read += 1) expect((await own.read(ENVIRONMENT, 'model', 'a'))?.body).toEqual({ count });
    }
    expect(revisions).toBe(5);
  });

  it('is everything once, and then only what has changed', async () => {
    for (const id of ['a', 'b', 'c']) await put(store, id, { id });
    const [a, b] = await cached.list(ENVIRONMENT, 'model');
    await cached.read(ENVIRONMENT, 'model', 'c');
    expect(asked).toEqual(['readAll']);
    await put(store, 'b', { id: 'other' });
    const [sameA, newB] = await cached.list(ENVIRONMENT, 'model');
    expect(asked).toEqual(['readAll', 'journal']);
    expect(sameA).toBe(a);
    expect([b?.body, newB?.body]).toEqual([{ id: 'b' }, { id: 'other' }]);
  });

  it('is everything again after more changes than are worth following', async () => {
    await put(store, 'a', { id: 'a' });
    const [a] = await cached.list(ENVIRONMENT, 'model');
    for (let count = 0; count < 201; count += 1) await put(store, 'b', { count });
    const [sameA, b] = await cached.list(ENVIRONMENT, 'model');
    expect(asked).toEqual(['readAll', 'readAll']);
    expect(sameA).toBe(a);
    expect(b?.body).toEqual({ count: 200 });
  });

  it('is as new as the call: what was acknowledged before it is in it, however many call at once', async () => {
    await put(store, 'a', { count: 0 });
    for (let count = 1; count <= 20; count += 1) {
      const early = cached.read(ENVIRONMENT, 'model', 'a');
      await put(cached, 'a', { count });
      const [late] = await Promise.all([cached.read(ENVIRONMENT, 'model', 'a'), early, cached.readAll(ENVIRONMENT)]);
      expect(late?.body).toEqual({ count });
    }
  });
});
