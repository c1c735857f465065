/** Random commits against a model of thirty lines: whatever the order, the store says and holds what the model does. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { commitOf, DECISION, type OpenStore } from './samples.contract.ts';
import type { Commit, CommitResult, IdempotencyRecord, Json, Store } from './store.ts';

interface World {
  revision: number;
  readonly documents: Map<string, { readonly revision: number; readonly body: Json }>;
  readonly keys: Map<string, IdempotencyRecord>;
  readonly windows: Set<string>;
}

/** A commit before its revisions are known: each write is off by so much from what the model holds. */
interface Attempt {
  readonly environment: string;
  readonly writes: readonly {
    readonly kind: 'model' | 'plan';
    readonly id: string;
    readonly off: number;
    readonly body: Json | undefined;
  }[];
  readonly window: number | undefined;
  readonly key: string | undefined;
}

const attempt: fc.Arbitrary<Attempt> = fc
  .record({
    environment: fc.constantFrom('production', 'staging'),
    writes: fc.uniqueArray(
      fc.record({
        kind: fc.constantFrom('model', 'plan'),
        id: fc.constantFrom('a', 'b', 'c'),
        off: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(-1, 1) }),
        body: fc.oneof(
          { weight: 4, arbitrary: fc.jsonValue({ maxDepth: 2 }).map(plainJson) },
          { weight: 1, arbitrary: fc.constant(undefined) },
        ),
      }),
      { maxLength: 3, selector: ({ kind, id }) => `${kind}/${id}` },
    ),
    window: fc.option(fc.nat(4), { nil: undefined, freq: 4 }),
    key: fc.option(fc.constantFrom('k1', 'k2', 'k3', 'k4'), { nil: undefined, freq: 4 }),
  })
  .filter(({ writes, window }) => writes.length > 0 || window !== undefined);

// A store behind a network takes milliseconds for what another does in microseconds.
const TIMEOUT_MS = 120_000;

export function testAgainstModel(open: OpenStore, runs: number): void {
  it(
    'holds what a small model holds after any commits',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(attempt, { minLength: 1, maxLength: 25 }), async (attempts) => {
          const store = await open();
          try {
            await followModel(store, attempts);
          } finally {
            await store.close();
          }
        }),
        { numRuns: runs },
      );
    },
    TIMEOUT_MS,
  );
}

async function followModel(store: Store, attempts: readonly Attempt[]): Promise<void> {
  const worlds = new Map<string, World>();
  for (const one of attempts) {
    const world = worlds.get(one.environment) ?? { revision: 0, documents: new Map(), keys: new Map(), windows: new Set() };
    worlds.set(one.environment, world);
    const commit = commitFor(world, one);
    if (commit !== undefined) expect(await store.commit(commit)).toEqual(applyTo(world, commit));
  }
  for (const [environment, world] of worlds) {
    const all = await store.readAll(environment);
    expect(all.revision).toBe(world.revision);
    const held = all.documents.map(({ kind, id, revision, body }) => [`${kind}/${id}`, { revision, body }] as const);
    expect(new Map(held)).toEqual(world.documents);
    expect(await store.verifyJournal(environment)).toMatchObject({ intact: true, entries: world.revision });
    expect((await store.decisions(environment, 'r', 100)).length).toBe(world.windows.size);
  }
}

/** Undefined for what no caller may send: it would be refused as a bug. */
function commitFor(world: World, { environment, writes, window, key }: Attempt): Commit | undefined {
  const known = writes.map(({ off, ...write }) => {
    const revision = world.documents.get(`${write.kind}/${write.id}`)?.revision ?? 0;
    return { ...write, expectedRevision: Math.max(0, revision + off) };
  });
  if (known.some(({ body, expectedRevision }) => body === undefined && expectedRevision === 0)) return undefined;
  return commitOf(known, {
    environment,
    ...(window === undefined ? {} : { decision: { rollout: 'r', window, decision: DECISION } }),
    ...(key === undefined ? {} : { idempotency: { key, request: 'digest', answer: { at: world.revision } } }),
  });
}

function applyTo(world: World, { writes, decision, idempotency }: Commit): CommitResult {
  const record = idempotency && world.keys.get(idempotency.key);
  if (record !== undefined) return { outcome: 'replayed', record };
  const window = decision && `${decision.rollout}/${decision.window}`;
  if (decision !== undefined && window !== undefined && world.windows.has(window)) {
    return { outcome: 'already-decided', rollout: decision.rollout, window: decision.window };
  }
  for (const { kind, id, expectedRevision } of writes) {
    const actualRevision = world.documents.get(`${kind}/${id}`)?.revision ?? 0;
    if (actualRevision !== expectedRevision) return { outcome: 'conflict', kind, id, expectedRevision, actualRevision };
  }
  world.revision += 1;
  for (const { kind, id, body } of writes) {
    if (body === undefined) world.documents.delete(`${kind}/${id}`);
    else world.documents.set(`${kind}/${id}`, { revision: world.revision, body });
  }
  if (window !== undefined) world.windows.add(window);
  if (idempotency !== undefined) world.keys.set(idempotency.key, idempotency);
  return { outcome: 'committed', revision: world.revision };
}

/** JSON as it comes back (−0 is 0), and never null: the journal reads null as absent. */
function plainJson(value: unknown): Json {
  const plain: Json = JSON.parse(JSON.stringify(value));
  return plain ?? 'null';
}
