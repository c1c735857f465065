import { type GatewayReport, GatewayReportSchema } from '@understudy/contract/report';
import { EMPTY_TALLY, mergeTallies } from '@understudy/core/evidence';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { openManualTime } from './gateway-rig.contract.ts';
import { openRecorder, type Recorder } from './recorder.ts';

interface Bench {
  readonly recorder: Recorder;
  readonly sent: GatewayReport[];
  readonly time: ReturnType<typeof openManualTime>;
  isUp: boolean;
}

function openBench(): Bench {
  const time = openManualTime();
  const sent: GatewayReport[] = [];
  const bench: Bench = {
    time,
    sent,
    isUp: true,
    recorder: openRecorder(
      { gateway: 'g', boot: 'b', flushEveryMs: 1000, state: () => ({ revision: 3, readiness: [] }) },
      {
        clock: time,
        timers: time,
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

it('reports what happened, once, in the shape of the contract', async () => {
  const { recorder, sent, time } = openBench();
  const cell = recorder.openCell(KEY);
  cell.addAnswer(10);
  cell.addPrediction(7n, true);
  cell.addPrediction(7n, true);
  cell.addFailure(20, 'timeout', true);
  cell.addFailure(20, 'invalid', false);
  cell.addRejection(1);
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
          requests: 4,
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

it('sends a report again with the same sequence until it is taken, then what came meanwhile', async () => {
  const bench = openBench();
  const cell = bench.recorder.openCell(KEY);
  bench.isUp = false;
  cell.addAnswer(1);
  await bench.recorder.flush();
  cell.addAnswer(2);
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
  const cell = bench.recorder.openCell(KEY);
  bench.isUp = false;
  for (let second = 0; second < 3600; second++) {
    cell.addAnswer(5);
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
    { gateway: 'g', boot: 'b', flushEveryMs: 1000, state: () => ({ revision: 0, readiness: [] }) },
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
  const [old, fresh] = [recorder.openCell(KEY), recorder.openCell(KEY)];
  old.addAnswer(1);
  fresh.addAnswer(1);
  await recorder.flush();
  await recorder.flush();
  old.addAnswer(1);
  await recorder.flush();
  expect(sent.map(({ blocks }) => blocks.map(({ tally }) => tally.requests))).toEqual([[2], [], [1]]);
});

it('keeps at most 64 classes, and any name as a name', async () => {
  const { recorder, sent } = openBench();
  const cell = recorder.openCell(KEY);
  cell.addAnswer(1);
  cell.addPrediction('__proto__', true);
  for (let index = 0; index < 1000; index++) cell.addPrediction(index, true);
  await recorder.flush();
  const classes = sent[0]?.blocks[0]?.tally.classes ?? {};
  expect(Object.keys(classes)).toHaveLength(65);
  expect(Object.getOwnPropertyDescriptor(classes, '__proto__')?.value).toBe(1);
  expect(classes['other']).toBe(1000 - 63);
});

it('loses and invents nothing, however requests fall into intervals', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.double({ min: 0, max: 1e5, noNaN: true }), fc.boolean()), { maxLength: 60 }),
      async (calls) => {
        const { recorder, sent } = openBench();
        const cell = recorder.openCell(KEY);
        for (const [ms, isFlush] of calls) {
          cell.addAnswer(ms);
          if (isFlush) await recorder.flush();
        }
        await recorder.flush();
        const blocks = sent.flatMap((report) => report.blocks);
        const total = blocks.reduce((sum, block) => mergeTallies(sum, block.tally), EMPTY_TALLY);
        expect(total.requests).toBe(calls.length);
        expect(total.latency.reduce((sum, [, count]) => sum + count, 0)).toBe(calls.length);
      },
    ),
    { numRuns: 50 },
  );
});

it('allocates nothing that stays, however many requests it counts', () => {
  const { recorder } = openBench();
  const cell = recorder.openCell(KEY);
  const count = (times: number): void => {
    for (let index = 0; index < times; index++) {
      cell.addAnswer(index % 100);
      cell.addPrediction(index % 7, true);
    }
  };
  count(10_000);
  const before = process.memoryUsage().heapUsed;
  count(2_000_000);
  // The young generation may hold a few megabytes of boxed numbers that the next collection takes.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(24 * 1024 * 1024);
});
