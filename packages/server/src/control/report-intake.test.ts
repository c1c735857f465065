import { type GatewayReport, GatewayReportSchema } from '@understudy/contract/report';
import { type EvidenceBlock, EMPTY_TALLY, type Tally } from '@understudy/core/evidence';
import { EMPTY_PAIRS } from '@understudy/core/pairs';
import { expect, it } from 'vitest';
import { openReportIntake } from './report-intake.ts';
import { openTestControl } from './test-control.ts';

const NOW_MS = 10_000_000;

function blockOf(tally: Partial<Tally>, extra: Partial<EvidenceBlock> = {}): EvidenceBlock {
  const where = { model: 'fraud', version: 'v2', arm: 'challenger', startMs: NOW_MS - 1000 } as const;
  return { ...where, ...extra, tally: { ...EMPTY_TALLY, ...tally } };
}

function reportOf(...blocks: readonly EvidenceBlock[]): GatewayReport {
  return { gateway: 'gw-1', boot: 'b', sequence: 0, revision: 0, readiness: [], blocks: [...blocks] };
}

async function openIntake() {
  const control = await openTestControl();
  control.clock.nowMs = () => NOW_MS;
  const { store, environment } = control.context;
  const take = openReportIntake({ ...control.context, clock: control.clock });
  return {
    take,
    stored: async () => (await store.evidence(environment, { afterCursor: 0, limit: 10 })).map(({ block }) => block),
    gateways: async () => (await store.gateways(environment)).length,
    [Symbol.asyncDispose]: async () => control[Symbol.asyncDispose](),
  };
}

it('writes down whose report every block came in', async () => {
  await using intake = await openIntake();
  await intake.take(reportOf(blockOf({ requests: 1 }), blockOf({ requests: 2 }, { arm: 'champion' })));
  expect((await intake.stored()).map(({ gateway }) => gateway)).toEqual(['gw-1', 'gw-1']);
});

it('takes nobody at their word who says in a block whose it is', () => {
  const told = GatewayReportSchema.safeParse(reportOf(blockOf({ requests: 1 }, { gateway: 'gw-2' })));
  expect(told.error?.message).toContain('a report names its gateway once, blocks do not');
  expect(GatewayReportSchema.safeParse(reportOf(blockOf({ requests: 1 }))).success).toBe(true);
});

const NONE = { shadow: 0, champion: 0, both: 0 };

it.each<{ readonly name: string; readonly tally: Partial<Tally>; readonly problem: string }>([
  { name: 'more errors than requests', tally: { requests: 1, errors: 2 }, problem: '2 of 1 requests failed' },
  {
    name: 'more kinds of errors than errors',
    tally: { requests: 9, errors: 2, timeouts: 2, invalid: 1 },
    problem: '2 timeouts and 1 invalid answers are among 2 errors',
  },
  {
    name: 'more rescues than errors',
    tally: { requests: 9, errors: 1, rescued: 2 },
    problem: '2 of 1 errors were rescued',
  },
  {
    name: 'more latencies than requests',
    tally: { requests: 1, latency: [[3, 1]], coldLatency: [[3, 1]] },
    problem: '2 latencies belong to 1 requests',
  },
  {
    name: 'scores beyond 1',
    tally: { scores: { right: { count: 2, sum: 3, sumSquares: 1 } } },
    problem: 'the values of "right" do not lie in [0, 1]',
  },
  {
    name: 'labels whose squares are larger than they',
    tally: { labels: { right: { count: 2, sum: 1, sumSquares: 2 } } },
    problem: 'the values of "right" do not lie in [0, 1]',
  },
  {
    name: 'more failed pairs than pairs',
    tally: { pairs: { ...EMPTY_PAIRS, count: 1, failed: { ...NONE, shadow: 1, both: 1 } } },
    problem: '2 pairs of 1 are failed',
  },
  {
    name: 'more compared pairs than pairs',
    tally: { pairs: { ...EMPTY_PAIRS, count: 1, compared: 2 } },
    problem: '2 of 1 pairs were compared',
  },
  {
    name: 'more equal pairs than compared ones',
    tally: { pairs: { ...EMPTY_PAIRS, count: 3, compared: 1, agreed: 2 } },
    problem: '2 of 1 compared pairs agree',
  },
  {
    name: 'more requests than a gateway can serve',
    tally: { requests: 1e9 },
    problem: 'it brings 1000000001 requests of 1 s, and 6000000 is more than a gateway can serve',
  },
])('refuses $name, and stores nothing of the report', async ({ tally, problem }) => {
  await using intake = await openIntake();
  const taking = intake.take(reportOf(blockOf({ requests: 1 }), blockOf(tally)));
  await expect(taking).rejects.toMatchObject({ code: 'request.invalid', message: expect.stringContaining(problem) as string });
  expect(await intake.stored()).toEqual([]);
  expect(await intake.gateways()).toBe(0);
});

it('takes what was kept through an outage, and never more than tests are exact for', async () => {
  await using intake = await openIntake();
  const sinceMs = NOW_MS - 600_000;
  await intake.take(reportOf(blockOf({ requests: 5e7 }, { startMs: sinceMs })));
  expect(await intake.stored()).toHaveLength(1);
  const later = { ...reportOf(blockOf({ requests: 1e9 }, { startMs: 0 })), sequence: 1 };
  await expect(intake.take(later)).rejects.toMatchObject({ message: expect.stringContaining('100000000 is more') as string });
});
