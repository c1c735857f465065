import { EvidenceBlockSchema, type GatewayReport, GatewayReportSchema } from '@understudy/contract/report';
import { EMPTY_TALLY, type EvidenceBlock, mergeTallies, type Tally } from '@understudy/core/evidence';
import { countOf } from '@understudy/core/histogram';
import { binOf, countsInBins, nameOfEdges } from '@understudy/core/prediction-bins';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openManualTime, until } from './gateway-rig.contract.ts';
import { openRecorder, type Recorder } from './recorder.ts';
import { mergeBlocks } from './report-outbox.ts';

interface Bench {
  readonly recorder: Recorder;
  readonly sent: GatewayReport[];
  readonly time: ReturnType<typeof openManualTime>;
  isUp: boolean;
}

interface BenchOptions {
  readonly startMs?: number;
  readonly stratum?: string;
  /** Timers fire so much too early, as those of Node do by a fraction of a millisecond. */
  readonly earlyMs?: number;
}

function openBench({ startMs, earlyMs = 0, ...options }: BenchOptions = {}): Bench {
  const time = openManualTime(startMs);
  const sent: GatewayReport[] = [];
  const bench: Bench = {
    time,
    sent,
    isUp: true,
    recorder: openRecorder(
      {
        gateway: 'g',
        boot: 'b',
        flushEveryMs: 1000,
        state: () => ({ revision: 3, readiness: [], standing: undefined }),
        ...options,
      },
      {
        clock: time,
        timers: { after: (ms, run) => time.after(ms - earlyMs, run) },
        reports: (report) => {
          sent.push(report);
          return bench.isUp ? Promise.resolve() : Promise.reject(new Error('away'));
        },
      },
    ),
  };
  return bench;
}

const KEY = { model: 'm', version: 'v2', arm: 'challenger', rollout: 'm-1', step: 1 } as const;
const PLACE = { key: KEY, binEdges: undefined };

it('reports what happened, once, in the shape of the contract', async () => {
  const { recorder, sent, time } = openBench();
  const cell = recorder.openCell(PLACE);
  for (const latencyMs of [10, 11]) {
    cell.addRequest(latencyMs, false);
    cell.predictions.add(7n, true);
  }
  cell.addRequest(20, true);
  cell.addError('timeout', true);
  cell.addRequest(20, false);
  cell.addError('invalid', false);
  cell.addRequest(1, false);
  cell.addRejection();
  time.advance(999);
  expect(sent).toEqual([]);
  await recorder.flush();
  expect(GatewayReportSchema.parse(sent[0])).toMatchObject({
    sequence: 0,
    revision: 3,
    blocks: [
      {
        ...KEY,
        startMs: 1_000_000,
        tally: {
          requests: 5,
          errors: 2,
          timeouts: 1,
          invalid: 1,
          rescued: 1,
          rejected: 1,
          predictions: { count: 2, sum: 14, sumSquares: 98 },
          classes: { 7: 2 },
        },
      },
    ],
  });
  await recorder.flush();
  expect(sent[1]).toMatchObject({ sequence: 1, blocks: [] });
});

describe('an interval', () => {
  it.each([
    { name: 'a whole second', startMs: 1_000_000, until: [999, 1] },
    { name: 'the middle of a second', startMs: 1_000_350.25, until: [649, 1] },
    { name: 'the last moment of a second', startMs: 1_000_999.999, until: [0, 1] },
  ])('that begins in $name is of that second, and ends with it', ({ startMs, until: [early = 0, rest = 0] }) => {
    const { recorder, sent, time } = openBench({ startMs });
    const cell = recorder.openCell(PLACE);
    cell.addRequest(1, false);
    time.advance(early);
    expect(sent).toEqual([]);
    time.advance(rest);
    expect(sent.map(({ blocks }) => blocks[0]?.startMs)).toEqual([1_000_000]);
  });

  it('follows the other at every second of the clock', async () => {
    const { recorder, sent, time } = openBench({ startMs: 1_000_350 });
    const cell = recorder.openCell(PLACE);
    for (let tenth = 0; tenth < 30; tenth++) {
      cell.addRequest(1, false);
      time.advance(100);
      await until(() => recorder.stats().pendingReports === 0, 'every report is taken');
    }
    expect(sent.map(({ blocks }) => [blocks[0]?.startMs, blocks[0]?.tally.requests])).toEqual([
      [1_000_000, 7],
      [1_001_000, 10],
      [1_002_000, 10],
    ]);
  });

  it('does not end before its second does, however early a timer fires', () => {
    const { recorder, sent, time } = openBench({ earlyMs: 0.75 });
    const cell = recorder.openCell(PLACE);
    cell.addRequest(1, false);
    time.advance(999.5);
    expect(sent).toEqual([]);
    time.advance(1);
    expect(sent.map(({ blocks }) => blocks[0]?.startMs)).toEqual([1_000_000]);
  });

  it('is cut, not moved, by a report in between', async () => {
    const { recorder, sent, time } = openBench();
    const cell = recorder.openCell(PLACE);
    for (const ms of [300, 300, 500]) {
      cell.addRequest(1, false);
      time.advance(ms);
      await recorder.flush();
    }
    const blocks = sent.flatMap((report) => report.blocks);
    expect(blocks.map(({ startMs, tally }) => [startMs, tally.requests])).toEqual([
      [1_000_000, 1],
      [1_000_000, 1],
      [1_000_000, 1],
    ]);
  });
});

it.each([
  { name: 'its stratum', options: { stratum: 'eu-west' }, expected: { stratum: 'eu-west' } },
  { name: 'no stratum when the gateway has none', options: {}, expected: {} },
])('names $name in every block', async ({ options, expected }) => {
  const { recorder, sent } = openBench(options);
  recorder.openCell(PLACE).addRequest(1, false);
  await recorder.flush();
  const { tally: _, startMs: __, ...labels } = GatewayReportSchema.parse(sent[0]).blocks[0] ?? {};
  expect(labels).toEqual({ ...KEY, ...expected });
});

it('sends a report again with the same sequence until it is taken, then what came meanwhile', async () => {
  const bench = openBench();
  const cell = bench.recorder.openCell(PLACE);
  bench.isUp = false;
  cell.addRequest(1, false);
  await bench.recorder.flush();
  cell.addRequest(2, false);
  await bench.recorder.flush();
  bench.isUp = true;
  await bench.recorder.flush();
  expect(bench.sent.map(({ sequence, blocks }) => [sequence, blocks[0]?.tally.requests])).toEqual([
    [0, 1],
    [0, 1],
    [0, 1],
    [1, 1],
  ]);
  expect(bench.recorder.stats()).toEqual({ pendingReports: 0, lostBlocks: 0 });
});

it('keeps a bounded number of reports and every count through an hour without a control plane', async () => {
  const bench = openBench();
  const cell = bench.recorder.openCell(PLACE);
  bench.isUp = false;
  for (let second = 0; second < 3600; second++) {
    cell.addRequest(5, false);
    await bench.recorder.flush();
    bench.time.advance(500);
  }
  expect(bench.recorder.stats().pendingReports).toBeLessThanOrEqual(61);
  bench.isUp = true;
  bench.sent.length = 0;
  await bench.recorder.flush();
  const requests = bench.sent.flatMap(({ blocks }) => blocks).map(({ tally }) => tally.requests);
  expect(requests.reduce((sum, count) => sum + count, 0)).toBe(3600);
  expect(bench.sent.map(({ sequence }) => sequence)).toEqual(bench.sent.map((_, index) => index));
});

it('gives up an attempt that is not answered', async () => {
  const time = openManualTime();
  const signals: AbortSignal[] = [];
  const recorder = openRecorder(
    { gateway: 'g', boot: 'b', flushEveryMs: 1000, state: () => ({ revision: 0, readiness: [], standing: undefined }) },
    {
      clock: time,
      timers: time,
      reports: (_report, given) => {
        signals.push(given);
        return new Promise(() => {});
      },
    },
  );
  const flushed = recorder.flush();
  time.advance(5000);
  await flushed;
  expect(signals[0]?.aborted).toBe(true);
  expect(recorder.stats().pendingReports).toBeGreaterThan(0);
});

it('counts two cells of one key as one, and a cell that comes back after its last report', async () => {
  const { recorder, sent } = openBench();
  const [old, fresh] = [recorder.openCell(PLACE), recorder.openCell(PLACE)];
  old.addRequest(1, false);
  fresh.addRequest(1, false);
  await recorder.flush();
  await recorder.flush();
  old.addRequest(1, false);
  await recorder.flush();
  expect(sent.map(({ blocks }) => blocks.map(({ tally }) => tally.requests))).toEqual([[2], [], [1]]);
});

it('keeps at most 64 classes, and any name as a name', async () => {
  const { recorder, sent } = openBench();
  const cell = recorder.openCell(PLACE);
  cell.addRequest(1, false);
  cell.predictions.add('__proto__', true);
  for (let index = 0; index < 1000; index++) cell.predictions.add(index, true);
  await recorder.flush();
  const classes = sent[0]?.blocks[0]?.tally.classes ?? {};
  expect(Object.keys(classes)).toHaveLength(65);
  expect(Object.getOwnPropertyDescriptor(classes, '__proto__')?.value).toBe(1);
  expect(classes['other']).toBe(1000 - 63);
});

it('loses and invents nothing, however requests fall into intervals', async () => {
  const call = fc.record({
    ms: fc.double({ min: 0, max: 1e5, noNaN: true }),
    isCold: fc.boolean(),
    value: fc.double({ min: -3, max: 3, noNaN: true }),
    isFlush: fc.boolean(),
  });
  const edges = [-1, 0, 1];
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 60 }), async (calls) => {
      const { recorder, sent } = openBench();
      const cell = recorder.openCell({ key: KEY, binEdges: edges });
      for (const { ms, isCold, value, isFlush } of calls) {
        cell.addRequest(ms, isCold);
        cell.predictions.add(value, false);
        if (isFlush) await recorder.flush();
      }
      await recorder.flush();
      const blocks = sent.flatMap((report) => report.blocks);
      const total = blocks.reduce((sum, block) => mergeTallies(sum, block.tally), EMPTY_TALLY);
      const cold = calls.filter(({ isCold }) => isCold).length;
      expect([total.requests, countOf(total.coldLatency), countOf(total.latency)]).toEqual([
        calls.length,
        cold,
        calls.length - cold,
      ]);
      const bins = countsInBins({ kind: 'ordered', edges }, total);
      expect(bins).toEqual([0, 1, 2, 3].map((bin) => calls.filter(({ value }) => binOf(edges, value) === bin).length));
    }),
    { numRuns: 50 },
  );
});

it('allocates nothing that stays, however many requests it counts', () => {
  const { recorder } = openBench();
  const cell = recorder.openCell({ key: KEY, binEdges: [1, 2.5, 4] });
  const count = (times: number): void => {
    for (let index = 0; index < times; index++) {
      cell.addRequest(index % 100, index % 50 === 0);
      cell.predictions.add(index % 7, true);
      cell.predictions.addRow(index % 3);
    }
  };
  count(10_000);
  const before = process.memoryUsage().heapUsed;
  count(2_000_000);
  // The young generation may hold a few megabytes of boxed numbers that the next collection takes.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(24 * 1024 * 1024);
});

describe('mergeBlocks', () => {
  const blockOf = (tally: Partial<Tally>, extra: Partial<EvidenceBlock> = {}): EvidenceBlock => ({
    ...KEY,
    startMs: 1_000_000,
    tally: { ...EMPTY_TALLY, requests: 1, ...tally },
    ...extra,
  });
  const requestsOf = (blocks: readonly EvidenceBlock[]): readonly number[] => blocks.map(({ tally }) => tally.requests);

  it.each<{ name: string; extra: Partial<EvidenceBlock> }>([
    { name: 'models', extra: { model: 'n' } },
    { name: 'versions', extra: { version: 'v3' } },
    { name: 'arms', extra: { arm: 'champion' } },
    { name: 'rollouts', extra: { rollout: 'm-2' } },
    { name: 'steps', extra: { step: 2 } },
    { name: 'strata', extra: { stratum: 'eu' } },
  ])('never adds up blocks of different $name', ({ extra }) => {
    expect(requestsOf(mergeBlocks([blockOf({})], [blockOf({}, extra), blockOf({})]))).toEqual([2, 1]);
  });

  it('keeps the earlier begin', () => {
    const merged = mergeBlocks([blockOf({}, { startMs: 3000 })], [blockOf({}, { startMs: 2000 })]);
    expect(merged.map(({ startMs }) => startMs)).toEqual([2000]);
  });

  it('keeps blocks apart that a report could not carry together', () => {
    const blocks = Array.from({ length: 20 }, (_, index) => blockOf({ bins: { [nameOfEdges([index])]: [1, 0] } }));
    const merged = blocks.reduce<readonly EvidenceBlock[]>((sum, block) => mergeBlocks(sum, [block]), []);
    expect(requestsOf(merged).reduce((sum, count) => sum + count, 0)).toBe(20);
    for (const block of merged) expect(EvidenceBlockSchema.safeParse(block).success).toBe(true);
    expect(merged.length).toBeLessThan(6);
  });
});
