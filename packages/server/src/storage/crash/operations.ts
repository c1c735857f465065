/** The numbered changes that the crash tests make: each under its own idempotency key, so that "once" can be checked. */
import { EMPTY_TALLY } from '@understudy/core/evidence';
import type { Commit, Store } from '../store.ts';

/** `small`: one document each. `several`: three documents of changing size. `mixed`: with evidence in between. */
export type Workload = 'small' | 'several' | 'mixed';

export const ENVIRONMENT = 'production';
const DOCUMENTS = 5;

/** What has been written, so that the next change can say what it was read at. */
export type Revisions = Map<string, number>;

export async function readRevisions(store: Store): Promise<Revisions> {
  const { documents } = await store.readAll(ENVIRONMENT);
  return new Map(documents.map(({ id, revision }) => [id, revision]));
}

export function keyOf(operation: number): string {
  return `operation-${operation}`;
}

/** The change with this number. Its time is its number, by which it is found in the journal. */
export function commitOf(operation: number, workload: Workload, revisions: Revisions): Commit {
  const offsets = workload === 'several' ? [0, 1, 2] : [0];
  const body = { operation, padding: 'x'.repeat(workload === 'several' ? (operation * 997) % 3000 : 20) };
  return {
    environment: ENVIRONMENT,
    writes: offsets.map((offset) => {
      const id = `m${(operation + offset) % DOCUMENTS}`;
      return { kind: 'model', id, expectedRevision: revisions.get(id) ?? 0, body };
    }),
    actor: 'crash-test',
    action: 'model.changed',
    reason: '',
    atMs: operation,
    idempotency: { key: keyOf(operation), request: 'digest', answer: operation },
  };
}

/** A report between two changes: ordered with them, not durable by itself. */
export async function appendEvidence(store: Store, sequence: number): Promise<void> {
  const block = { model: 'm', version: 'v', arm: 'champion', startMs: sequence, tally: { ...EMPTY_TALLY, requests: 1 } } as const;
  const report = { gateway: 'gw', boot: 'boot', sequence, revision: 0, readiness: [], blocks: [block] };
  await store.appendReport(ENVIRONMENT, report, sequence);
}

/** Those of the operations that the store does not hold. */
export async function missingOf(store: Store, operations: readonly number[]): Promise<number[]> {
  const missing: number[] = [];
  for (const operation of operations) {
    const record = await store.findIdempotent(ENVIRONMENT, keyOf(operation));
    if (record?.answer !== operation) missing.push(operation);
  }
  return missing;
}

/** The numbers of all operations in the journal, oldest first. @throws Error unless it is one unbroken chain */
export async function operationsIn(store: Store): Promise<number[]> {
  const check = await store.verifyJournal(ENVIRONMENT);
  if (!check.intact) throw new Error(`the journal is broken at revision ${check.brokenAtRevision}: ${check.problem}`);
  return (await store.journal(ENVIRONMENT, { limit: 1_000_000 })).map(({ atMs }) => atMs);
}

/** The first operations. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, operation) => operation);
}
