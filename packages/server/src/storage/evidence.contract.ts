/** The contract of gateway reports: each counts once, in whatever order it comes. */
import { type GatewayReport, SERVICE_PREFIX } from '@understudy/contract/report';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { blockOf, ENVIRONMENT, type OpenStore, put, reportOf } from './samples.contract.ts';
import type { EvidenceQuery, Store } from './store.ts';

export function testEvidence(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(async () => {
    await store.close();
  });
  const startsAfter = async (afterCursor: number, model?: string, limit = 100) => {
    const query = { afterCursor, limit, ...(model === undefined ? {} : { model }) };
    return (await store.evidence(ENVIRONMENT, query)).map(({ block }) => block.startMs);
  };

  it('stores a report once, also when two copies race', async () => {
    const report = reportOf(1, { blocks: [blockOf('fraud', 1)] });
    const twice = [store.appendReport(ENVIRONMENT, report, 5), store.appendReport(ENVIRONMENT, report, 6)];
    expect((await Promise.all(twice)).toSorted()).toEqual(['duplicate', 'stored']);
    expect(await store.appendReport(ENVIRONMENT, report, 7)).toBe('duplicate');
    expect(await startsAfter(0)).toEqual([1]);
    expect(await store.gateways(ENVIRONMENT)).toMatchObject([{ gateway: 'gw-1', seenAtMs: 5 }]);
  });

  it('takes the evidence of a service, and makes no gateway known by it', async () => {
    const { revision: _revision, readiness: _readiness, ...report } = reportOf(1, { blocks: [blockOf('fraud', 1)] });
    const ofService = { ...report, gateway: `${SERVICE_PREFIX}gw-1` };
    expect(await store.appendReport(ENVIRONMENT, ofService, 5)).toBe('stored');
    expect(await store.appendReport(ENVIRONMENT, ofService, 6)).toBe('duplicate');
    expect(await store.appendReport(ENVIRONMENT, reportOf(1, { blocks: [blockOf('fraud', 2)] }), 7)).toBe('stored');
    expect(await startsAfter(0)).toEqual([1, 2]);
    expect(await store.gateways(ENVIRONMENT)).toMatchObject([{ gateway: 'gw-1', seenAtMs: 7 }]);
  });

  it('tells boots, gateways and environments with one sequence apart', async () => {
    const report = reportOf(1, { blocks: [blockOf('fraud', 1)] });
    const others: readonly GatewayReport[] = [report, { ...report, boot: 'boot-2' }, { ...report, gateway: 'gw-2' }];
    for (const other of others) expect(await store.appendReport(ENVIRONMENT, other, 1)).toBe('stored');
    expect(await store.appendReport('staging', report, 1)).toBe('stored');
    expect(await startsAfter(0)).toHaveLength(3);
    expect(await store.evidence('staging', { afterCursor: 0, limit: 9 })).toHaveLength(1);
  });

  it('reads blocks after a cursor in the order they were stored, unchanged', async () => {
    const blocks = [
      { ...blockOf('fraud', 30), rollout: 'r1', step: 2 },
      blockOf('churn', 10),
      { ...blockOf('fraud', 20), arm: 'shadow' as const },
    ];
    await store.appendReport(ENVIRONMENT, reportOf(2, { blocks: blocks.slice(0, 2) }), 1);
    await store.appendReport('staging', reportOf(2, { blocks: [blockOf('fraud', 99)] }), 1);
    await store.appendReport(ENVIRONMENT, reportOf(1, { blocks: blocks.slice(2) }), 1);
    const stored = await store.evidence(ENVIRONMENT, { afterCursor: 0, limit: 100 });
    expect(stored.map(({ block }) => block)).toEqual(blocks);
    const cursors = stored.map(({ cursor }) => cursor);
    expect(cursors).toEqual(cursors.toSorted((a, b) => a - b));
    expect(new Set(cursors).size).toBe(3);
    expect(await startsAfter(cursors[0] ?? 0)).toEqual([10, 20]);
    expect(await startsAfter(cursors[2] ?? 0)).toEqual([]);
    expect(await startsAfter(0, 'fraud')).toEqual([30, 20]);
    expect(await startsAfter(0, 'fraud', 1)).toEqual([30]);
    expect(await startsAfter(cursors[0] ?? 0, 'fraud')).toEqual([20]);
    expect(await startsAfter(0, 'other')).toEqual([]);
  });

  it('says when each block was stored, and never that it was before an earlier one', async () => {
    const clock = [100, 50, 100.5, 99, 120.25, 0];
    for (const [sequence, seenAtMs] of clock.entries()) {
      const blocks = [blockOf('fraud', sequence), blockOf('churn', sequence)];
      await store.appendReport(ENVIRONMENT, reportOf(sequence, { blocks }), seenAtMs);
    }
    const stored = await store.evidence(ENVIRONMENT, { afterCursor: 0, limit: 100 });
    const seen = [100, 100, 100.5, 100.5, 120.25, 120.25];
    expect(stored.map(({ block, seenAtMs }) => [block.startMs, seenAtMs])).toEqual(
      seen.flatMap((seenAtMs, startMs) => [
        [startMs, seenAtMs],
        [startMs, seenAtMs],
      ]),
    );
  });

  it('sets no clock by another environment, by reports without evidence, or for the status of a gateway', async () => {
    await store.appendReport('staging', reportOf(1, { blocks: [blockOf('fraud', 1)] }), 900);
    await store.appendReport(ENVIRONMENT, reportOf(1), 800);
    await store.appendReport(ENVIRONMENT, reportOf(2, { blocks: [blockOf('fraud', 1)] }), 500);
    await store.appendReport(ENVIRONMENT, reportOf(3, { blocks: [blockOf('fraud', 2)] }), 400);
    const stored = await store.evidence(ENVIRONMENT, { afterCursor: 0, limit: 100 });
    expect(stored.map(({ seenAtMs }) => seenAtMs)).toEqual([500, 500]);
    expect(await store.gateways(ENVIRONMENT)).toMatchObject([{ seenAtMs: 400 }]);
  });

  it('counts evidence as seen at the seal that it came after, or later', async () => {
    const append = (sequence: number, seenAtMs: number, environment = ENVIRONMENT) =>
      store.appendReport(environment, reportOf(sequence, { blocks: [blockOf('fraud', sequence)] }), seenAtMs);
    const seen = async (environment = ENVIRONMENT) =>
      (await store.evidence(environment, { afterCursor: 0, limit: 100 })).map(({ seenAtMs }) => seenAtMs);
    await store.sealEvidence(ENVIRONMENT, 10.25);
    await append(1, 5);
    await append(2, 20);
    await store.sealEvidence(ENVIRONMENT, 50);
    await store.sealEvidence(ENVIRONMENT, 40);
    await append(3, 30);
    await append(4, 60);
    await append(5, 1, 'staging');
    expect(await seen()).toEqual([10.25, 20, 50, 60]);
    expect(await seen('staging')).toEqual([1]);
    // When a gateway was heard of is another matter.
    expect(await store.gateways('staging')).toMatchObject([{ seenAtMs: 1 }]);
  });

  it('reads what was stored since, whenever it began', async () => {
    const seen = [10, 20, 20, 15, 30];
    const starts = [99, 5, 50, 1, 2];
    for (const [sequence, seenAtMs] of seen.entries()) {
      const blocks = [blockOf('fraud', starts[sequence] ?? 0), blockOf('churn', 1000 + (starts[sequence] ?? 0))];
      await store.appendReport(ENVIRONMENT, reportOf(sequence, { blocks }), seenAtMs);
      await store.appendReport('staging', reportOf(sequence, { blocks }), 1);
    }
    const since = async (sinceMs: number, query: Partial<EvidenceQuery> = {}) =>
      (await store.evidence(ENVIRONMENT, { afterCursor: 0, limit: 100, model: 'fraud', ...query, sinceMs })).map(
        ({ block }) => block.startMs,
      );
    expect(await since(0)).toEqual([99, 5, 50, 1, 2]);
    expect(await since(10)).toEqual([99, 5, 50, 1, 2]);
    expect(await since(10.5)).toEqual([5, 50, 1, 2]);
    expect(await since(21)).toEqual([2]);
    expect(await since(31)).toEqual([]);
    expect(await since(21, { model: 'churn' })).toEqual([1002]);
    expect(await since(11, { limit: 2 })).toEqual([5, 50]);
    const [, , third] = await store.evidence(ENVIRONMENT, { afterCursor: 0, limit: 9, model: 'fraud' });
    expect(await since(11, { afterCursor: third?.cursor ?? 0 })).toEqual([1, 2]);
    expect(await since(30, { afterCursor: third?.cursor ?? 0 })).toEqual([2]);
  });

  it('never gives a cursor twice, also after the newest evidence was deleted', async () => {
    await store.appendReport(ENVIRONMENT, reportOf(1, { blocks: [blockOf('fraud', 1)] }), 1);
    const [first] = await store.evidence(ENVIRONMENT, { afterCursor: 0, limit: 1 });
    await store.prune(ENVIRONMENT, { evidenceMs: 10, feedbackMs: 10, idempotencyMs: 0 });
    await store.appendReport(ENVIRONMENT, reportOf(2, { blocks: [blockOf('fraud', 20)] }), 20);
    expect(await startsAfter(first?.cursor ?? 0)).toEqual([20]);
  });

  it('shows a gateway as its newest report says, whatever came last', async () => {
    const outcomes = { requests: 7, failures: 7 };
    const seen = { challenger: outcomes, champion: { requests: 61, failures: 0 } };
    const breaker = { state: 'open' as const, sinceMs: 40, retryAtMs: 45.5, seen };
    const ready = [
      { model: 'fraud', version: 'v1', state: 'ready' as const, detail: 'inline, 0.1 ms' },
      {
        model: 'fraud',
        version: 'v2',
        state: 'ready' as const,
        detail: 'x',
        trial: { rollout: 'r', breaker, leaseOverSinceMs: 9 },
      },
    ];
    await store.appendReport(ENVIRONMENT, reportOf(5, { readiness: ready }), 50);
    await store.appendReport(ENVIRONMENT, reportOf(4, { blocks: [blockOf('fraud', 1)] }), 60);
    const newest = { gateway: 'gw-1', boot: 'boot-1', revision: 5, seenAtMs: 50, readiness: ready };
    expect(await store.gateways(ENVIRONMENT)).toEqual([newest]);
    expect(await startsAfter(0)).toEqual([1]);
    await store.appendReport(ENVIRONMENT, reportOf(0, { boot: 'boot-2', revision: 9 }), 70);
    await store.appendReport(ENVIRONMENT, reportOf(0, { gateway: 'gw-0', boot: 'b' }), 71);
    expect(await store.gateways(ENVIRONMENT)).toEqual([
      { gateway: 'gw-0', boot: 'b', revision: 0, seenAtMs: 71, readiness: [] },
      { gateway: 'gw-1', boot: 'boot-2', revision: 9, seenAtMs: 70, readiness: [] },
    ]);
    expect(await store.gateways('staging')).toEqual([]);
  });

  it('prunes what is older than asked, of one environment', async () => {
    const blocks = [blockOf('fraud', 9), blockOf('fraud', 10), blockOf('fraud', 11)];
    for (const environment of [ENVIRONMENT, 'staging']) {
      await store.appendReport(environment, reportOf(1, { blocks }), 10);
      for (const [index, atMs] of [99, 100].entries()) {
        const idempotency = { key: `k${atMs}`, request: 'd', answer: 1 };
        await store.commit({ ...put(`m${index}`, 0, 1), environment, atMs, idempotency });
      }
    }
    const before = { evidenceMs: 10, feedbackMs: 10, idempotencyMs: 100 };
    expect(await store.prune(ENVIRONMENT, before)).toEqual({ evidence: 1, idempotency: 1 });
    expect(await store.prune(ENVIRONMENT, before)).toEqual({ evidence: 0, idempotency: 0 });
    expect(await startsAfter(0)).toEqual([10, 11]);
    expect(await store.findIdempotent(ENVIRONMENT, 'k99')).toBeUndefined();
    expect(await store.findIdempotent(ENVIRONMENT, 'k100')).toBeDefined();
    expect(await store.evidence('staging', { afterCursor: 0, limit: 9 })).toHaveLength(3);
    expect(await store.findIdempotent('staging', 'k99')).toBeDefined();
    expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries: 2 });
  });

  it('changes no revision by reports', async () => {
    await store.appendReport(ENVIRONMENT, reportOf(1), 1);
    expect(await store.revision(ENVIRONMENT)).toBe(0);
  });
}
