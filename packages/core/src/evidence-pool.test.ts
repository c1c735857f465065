import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Arm, EMPTY_TALLY, type EvidenceBlock, mergeTallies, momentsOf, type Tally } from './evidence.ts';
import {
  closeUntil,
  type ConcurrentBlock,
  EMPTY_POOL,
  type EvidencePool,
  GRACE_MS,
  INTERVAL_MS,
  intervalOf,
  pour,
  sealOf,
  type StoredBlock,
} from './evidence-pool.ts';

fc.configureGlobal({ seed: 1 });

function tallyOf(requests: number): Tally {
  const classes = Object.fromEntries([['__proto__', requests]]);
  return { ...EMPTY_TALLY, requests, latency: [[300, requests]], predictions: momentsOf([requests]), classes };
}

function blockOf(startMs: number, extra: Partial<EvidenceBlock> = {}): EvidenceBlock {
  return { model: 'm', version: 'v', arm: 'champion', rollout: 'm-1', step: 0, startMs, tally: tallyOf(1), ...extra };
}

function poured(blocks: readonly StoredBlock[], pool: EvidencePool = EMPTY_POOL): EvidencePool {
  return blocks.reduce(pour, pool);
}

function requestsOf(blocks: readonly ConcurrentBlock[]): number {
  return blocks.reduce((sum, { arms }) => sum + arms.champion.requests + arms.challenger.requests + arms.shadow.requests, 0);
}

const totalOf = (blocks: readonly StoredBlock[]): number => blocks.reduce((sum, { block }) => sum + block.tally.requests, 0);

interface Place {
  readonly arm: Arm;
  readonly step: number | undefined;
  readonly stratum: string | undefined;
  readonly requests: number;
}

const place: fc.Arbitrary<Place> = fc.record({
  arm: fc.constantFrom('champion', 'challenger', 'shadow'),
  step: fc.constantFrom(undefined, 0, 1),
  stratum: fc.constantFrom(undefined, 'eu', 'us'),
  requests: fc.integer({ min: 1, max: 9 }),
});

function placed(startMs: number, { arm, step, stratum, requests }: Place): EvidenceBlock {
  return {
    model: 'm',
    version: 'v',
    arm,
    ...(step === undefined ? {} : { rollout: 'm-1', step }),
    ...(stratum === undefined ? {} : { stratum }),
    startMs,
    tally: tallyOf(requests),
  };
}

/** A report of some second, stored soon after its end. */
const onTime: fc.Arbitrary<StoredBlock> = fc
  .tuple(fc.integer({ min: 5, max: 9 }), fc.double({ min: 0, max: GRACE_MS - 0.001, noNaN: true }), place)
  .map(([second, delayMs, where]) => ({
    block: placed(second * INTERVAL_MS, where),
    seenAtMs: (second + 1) * INTERVAL_MS + delayMs,
  }));

/** Whatever a gateway says about the time, in the order of storage: the control plane's clock never goes back. */
const stream: fc.Arbitrary<readonly StoredBlock[]> = fc
  .array(
    fc.tuple(
      fc.double({ min: 0, max: 700, noNaN: true }),
      fc.oneof(fc.integer({ min: -5000, max: 5000 }), fc.constant(-1000)),
      place,
    ),
    { maxLength: 60 },
  )
  .map((steps) => {
    let seenAtMs = 50_000;
    return steps.map(([afterMs, offsetMs, where]) => {
      seenAtMs += afterMs;
      return { block: placed(Math.max(0, seenAtMs + offsetMs), where), seenAtMs };
    });
  });

describe('a report', () => {
  it.each([
    { name: 'in its own interval when it came at once', startMs: 7000, seenAtMs: 8000, interval: 7000 },
    { name: 'in its own interval just before it is late', startMs: 7000, seenAtMs: 8199.999, interval: 7000 },
    { name: 'in the open interval when it is late', startMs: 7000, seenAtMs: 8200, interval: 8000 },
    { name: 'in the open interval when it is very late', startMs: 7000, seenAtMs: 65_900, interval: 65_000 },
    { name: 'in its own interval when it was cut short', startMs: 7000, seenAtMs: 7400, interval: 7000 },
    { name: 'in the newest interval when its clock is ahead', startMs: 99_000, seenAtMs: 8100, interval: 8000 },
    { name: 'in the open interval when its clock is behind', startMs: 1000, seenAtMs: 8300, interval: 8000 },
    {
      name: 'in the oldest one open when its clock is behind and it came at once',
      startMs: 1000,
      seenAtMs: 8100,
      interval: 7000,
    },
    { name: 'in the second that it began in', startMs: 7350, seenAtMs: 8000, interval: 7000 },
  ])('counts $name', ({ startMs, seenAtMs, interval }) => {
    expect(poured([{ block: blockOf(startMs), seenAtMs }]).open.map((block) => block.startMs)).toEqual([interval]);
  });

  it('is told from others by interval, step and stratum, and added to its arm', () => {
    const seenAtMs = 8000;
    const blocks = [
      blockOf(7000),
      blockOf(7000, { version: 'v2', arm: 'challenger' }),
      blockOf(7000, { version: 'v2', arm: 'challenger' }),
      blockOf(7000, { arm: 'shadow' }),
      blockOf(7000, { step: 1 }),
      blockOf(7000, { stratum: 'eu' }),
      blockOf(8000),
    ];
    const { closed } = closeUntil(poured(blocks.map((block) => ({ block, seenAtMs }))), 10_000);
    expect(
      closed.map(({ startMs, step, stratum, arms: { champion, challenger, shadow } }) => [
        startMs,
        step,
        stratum,
        [champion.requests, challenger.requests, shadow.requests],
      ]),
    ).toEqual([
      [7000, 0, '', [1, 2, 1]],
      [7000, 0, 'eu', [1, 0, 0]],
      [7000, 1, '', [1, 0, 0]],
      [8000, 0, '', [1, 0, 0]],
    ]);
  });

  it('has the step −1 outside of a rollout', () => {
    const { rollout: _rollout, step: _step, ...outside } = blockOf(7000);
    expect(poured([{ block: outside, seenAtMs: 8000 }]).open).toMatchObject([{ step: -1, stratum: '' }]);
  });
});

describe('an interval', () => {
  it.each([
    { name: 'its end', atMs: 8000, isClosed: false },
    { name: 'the last moment in which a report is on time', atMs: 8199.999, isClosed: false },
    { name: 'the moment after which a report is late', atMs: 8200, isClosed: true },
  ])('at $name is closed: $isClosed', ({ atMs, isClosed }) => {
    const pool = poured([{ block: blockOf(7000), seenAtMs: 8000 }]);
    const { closed } = closeUntil(pool, atMs);
    expect(closed).toHaveLength(isClosed ? 1 : 0);
  });

  it('stays closed, and what comes for it is lost and counted', () => {
    const { pool } = closeUntil(EMPTY_POOL, 20_200);
    // Stored by a control plane whose clock is behind: with one clock this cannot be.
    const after = poured([{ block: blockOf(7000, { tally: tallyOf(3) }), seenAtMs: 8000 }], pool);
    expect(after).toEqual({ closedUntilMs: 20_000, open: [], lost: 3 });
    expect(closeUntil(after, 5000).pool.closedUntilMs).toBe(20_000);
  });

  it('is out of reach for what counts as seen at its seal or later', () => {
    const moments = fc.integer({ min: 10_000, max: 20_000 });
    fc.assert(
      fc.property(moments, fc.nat(3000), moments, (atMs, afterMs, startMs) => {
        const { pool } = closeUntil(EMPTY_POOL, atMs);
        const sealed = { block: blockOf(startMs), seenAtMs: sealOf(atMs) + afterMs };
        expect(intervalOf(sealed)).toBeGreaterThanOrEqual(pool.closedUntilMs);
        expect(sealOf(atMs)).toBeLessThanOrEqual(atMs);
      }),
    );
  });

  it('is closed by the clock, not by what is in it', () => {
    fc.assert(
      fc.property(stream, fc.integer({ min: 40_000, max: 100_000 }), (blocks, atMs) => {
        expect(closeUntil(poured(blocks), atMs).pool.closedUntilMs).toBe(closeUntil(EMPTY_POOL, atMs).pool.closedUntilMs);
      }),
    );
  });
});

describe('a pool', () => {
  it('gives the same blocks for reports that came in time, in whatever order they came', () => {
    const shuffled = fc
      .array(onTime, { maxLength: 40 })
      .chain((blocks) => fc.tuple(fc.constant(blocks), fc.shuffledSubarray(blocks, { minLength: blocks.length })));
    fc.assert(
      fc.property(shuffled, ([blocks, others]) => {
        const all = closeUntil(poured(blocks), 20_000).closed;
        expect(closeUntil(poured(others), 20_000).closed).toEqual(all);
        expect(requestsOf(all)).toBe(totalOf(blocks));
      }),
    );
  });

  it('gives the same blocks for reports in order of storage, however often it is closed in between', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(59), { maxLength: 20 }), fc.nat(900), (blocks, looks, waitMs) => {
        const endMs = 200_000;
        const once = closeUntil(poured(blocks), endMs).closed;
        let pool = EMPTY_POOL;
        const inSteps: ConcurrentBlock[] = [];
        const closeAt = (atMs: number): void => {
          const result = closeUntil(pool, atMs);
          ({ pool } = result);
          inSteps.push(...result.closed);
        };
        for (const [index, stored] of blocks.entries()) {
          pool = pour(pool, stored);
          // Some time later, but before the next report is stored: what has been stored has been read.
          const nextMs = blocks[index + 1]?.seenAtMs ?? Infinity;
          if (looks.includes(index)) closeAt(Math.min(nextMs, stored.seenAtMs + waitMs));
        }
        closeAt(endMs);
        expect(inSteps).toEqual(once);
        expect(pool).toEqual({ closedUntilMs: 199_000, open: [], lost: 0 });
      }),
    );
  });

  it('loses and invents nothing while one clock is used, whatever clocks gateways have', () => {
    fc.assert(
      fc.property(stream, fc.double({ min: 0, max: 1e5, noNaN: true }), (blocks, afterMs) => {
        const pool = poured(blocks);
        const { pool: rest, closed } = closeUntil(pool, 50_000 + afterMs);
        expect(requestsOf(closed) + requestsOf(rest.open)).toBe(totalOf(blocks));
        expect(rest.lost).toBe(0);
        const total = blocks.reduce((sum, { block }) => mergeTallies(sum, block.tally), EMPTY_TALLY);
        const found = [...closed, ...rest.open].flatMap(({ arms }) => Object.values(arms)).reduce(mergeTallies, EMPTY_TALLY);
        expect(found).toEqual(total);
      }),
    );
  });

  it('never places evidence in the future, nor further back than the grace reaches', () => {
    fc.assert(
      fc.property(stream, (blocks) => {
        for (const stored of blocks) {
          const startMs = poured([stored]).open[0]?.startMs ?? Number.NaN;
          expect(startMs % INTERVAL_MS).toBe(0);
          expect(startMs).toBeLessThanOrEqual(stored.seenAtMs);
          expect(startMs + INTERVAL_MS).toBeGreaterThan(stored.seenAtMs - GRACE_MS);
        }
      }),
    );
  });

  it('closes blocks by time, then step, then stratum, each once', () => {
    fc.assert(
      fc.property(stream, (blocks) => {
        const keys = closeUntil(poured(blocks), 200_000).closed.map(
          ({ startMs, step, stratum }) => [startMs, step, stratum] as const,
        );
        const sorted = keys.toSorted((a, b) => a[0] - b[0] || a[1] - b[1] || (a[2] < b[2] ? -1 : a[2] > b[2] ? 1 : 0));
        expect(keys).toEqual(sorted);
        expect(new Set(keys.map((key) => key.join(' '))).size).toBe(keys.length);
      }),
    );
  });

  it('survives JSON unchanged, and goes on from there', () => {
    fc.assert(
      fc.property(stream, fc.nat(59), fc.nat(5000), (blocks, cut, afterMs) => {
        const first = blocks.slice(0, cut);
        const { pool } = closeUntil(poured(first), (first.at(-1)?.seenAtMs ?? 0) - afterMs);
        const stored: EvidencePool = JSON.parse(JSON.stringify(pool));
        expect(stored).toEqual(pool);
        const [left, right] = [stored, pool].map((one) => closeUntil(poured(blocks.slice(cut), one), 200_000));
        expect(left).toEqual(right);
      }),
    );
  });

  it('leaves what it is given as it was', () => {
    const before = poured([{ block: blockOf(7000), seenAtMs: 8000 }]);
    const copy = structuredClone(before);
    pour(before, { block: blockOf(7000), seenAtMs: 8000 });
    closeUntil(before, 20_000);
    expect(before).toEqual(copy);
  });
});
