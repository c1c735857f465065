/** What the tests of copies share: a store with something of everything in it, and all that the port shows of one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { COHORT_MS, type FeedbackMark } from '@understudy/core/feedback';
import { afterAll } from 'vitest';
import { readBackup, writeBackup } from './backup-file.ts';
import { openDump, openStore } from './open-store.ts';
import { blockOf, decide, ENVIRONMENT, put, reportOf } from './samples.contract.ts';
import { checkedRecords, copyStore } from './store-copy.ts';
import type { Store } from './store.ts';

const root = mkdtempSync(path.join(tmpdir(), 'understudy-copy-'));
afterAll(() => rmSync(root, { recursive: true }));
let names = 0;
export const newFile = () => path.join(root, String((names += 1)));
export const newSqlite = () => `sqlite:${newFile()}`;
export const quiet = () => undefined;
export const STAMP = { release: '1.2.3', atMs: 7 };
export const KEY = new Uint8Array(32).fill(9);

export async function withStore<T>(address: string, work: (store: Store) => Promise<T>): Promise<T> {
  const { store, secrets } = await openStore(address, { onFatal: quiet });
  try {
    await secrets.keepSecret('request-id', KEY);
    return await work(store);
  } finally {
    await store.close();
  }
}

const markOf = (extra: Partial<FeedbackMark>): FeedbackMark => ({
  model: 'fraud',
  version: 'v1',
  arm: 'champion',
  request: 'r1',
  requestAtMs: COHORT_MS * 10.5,
  name: 'accuracy',
  value: 1,
  givenAtMs: COHORT_MS * 11 + 0.25,
  ...extra,
});

/** Something of everything, in two environments, with numbers and texts that are easy to spoil. */
export async function fill(address: string): Promise<void> {
  await withStore(address, async (store) => {
    for (const environment of [ENVIRONMENT, 'staging']) {
      for (let revision = 0; revision < 220; revision += 1) {
        await store.commit({
          ...put('counter', revision, { revision, text: '\u0000\ud83d\ude00\ud800' }),
          environment,
          atMs: revision + 0.1,
        });
      }
      const idempotency = { key: 'k', request: 'd', answer: { a: 0.1 } };
      await store.commit({ ...decide('r1', 1), environment, idempotency });
      await store.commit({ ...put('gone', 0, 1), environment });
      await store.commit({
        ...put('gone', 222, 1),
        environment,
        writes: [{ kind: 'model', id: 'gone', expectedRevision: 222, body: undefined }],
      });
      for (let sequence = 0; sequence < 3; sequence += 1) {
        const blocks = [blockOf('fraud', sequence + 0.5), blockOf('churn', sequence)];
        await store.appendReport(environment, reportOf(sequence, { blocks }), 100.25 + sequence);
      }
      await store.appendReport(environment, reportOf(12, { gateway: 'ü', boot: 'b 2' }), 200.125);
      await store.saveFeedback(environment, [
        markOf({ request: 'r2', value: 0.1 }),
        markOf({ request: 'r1', name: 'a' }),
        markOf({ request: 'r1', name: 'B', requestAtMs: COHORT_MS * 9.5, givenAtMs: COHORT_MS * 99.75 }),
        markOf({ request: 'r3', model: 'churn', version: 'v2', arm: 'challenger', rollout: 'r1', step: 0 }),
      ]);
    }
  });
}

/** Everything that the port shows. */
export async function contentOf(address: string) {
  return withStore(address, async (store) => {
    const environments = [ENVIRONMENT, 'staging', 'other'];
    return Promise.all(
      environments.map(async (environment) => ({
        documents: await store.readAll(environment),
        journal: await store.journal(environment, { limit: 10_000 }),
        check: await store.verifyJournal(environment),
        ofSubject: await store.journal(environment, { limit: 9, subject: { kind: 'model', id: 'gone' } }),
        decisions: await store.decisions(environment, 'r1', 9),
        record: await store.findIdempotent(environment, 'k'),
        evidence: (await store.evidence(environment, { afterCursor: 0, limit: 99 })).map(
          ({ cursor: _cursor, ...stored }) => stored,
        ),
        gateways: await store.gateways(environment),
        feedback: await Promise.all(
          ['fraud', 'churn'].map((model) => store.feedback(environment, { model, fromCohort: 0, toCohort: 1e9 })),
        ),
      })),
    );
  });
}

export async function copy(from: string, to: string) {
  const source = await openDump(from);
  try {
    const target = await openDump(to);
    try {
      return await copyStore(source, target, quiet);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

export async function backup(address: string, file: string): Promise<void> {
  const source = await openDump(address);
  try {
    await writeBackup(file, checkedRecords(source.dump(), quiet).records, STAMP);
  } finally {
    await source.close();
  }
}

export async function restore(file: string, address: string) {
  const target = await openDump(address);
  try {
    return await copyStore({ dump: () => readBackup(file) }, target, quiet);
  } finally {
    await target.close();
  }
}

export const isEmpty = (address: string) =>
  withStore(
    address,
    async (store) => (await store.revision(ENVIRONMENT)) === 0 && (await store.gateways(ENVIRONMENT)).length === 0,
  );
