import { AppError } from '@understudy/core/errors';
import { DEFAULT_CHECK } from '@understudy/core/checks/config';
import { EMPTY_TALLY } from '@understudy/core/evidence';
import { describe, expect, it } from 'vitest';
import { PlanSchema } from './rollout-documents.ts';
import { readPlan, writePlan } from './plan-file.ts';
import { EvidenceBlockSchema, GatewayReportSchema } from './report.ts';

const prometheus = { url: 'http://prometheus:9090', query: 'sum(x{version="{{challenger}}"})' };
const query = (changes: object = {}) => ({ name: 'slo', prometheus, failAbove: 1, ...changes });
const hook = (changes: object = {}) => ({ name: 'desk', webhook: { url: 'https://desk.example/verdict?team=1' }, ...changes });
const fileWith = (...checks: readonly object[]) => ({ name: 'mine', steps: [{ traffic: 10 }, { traffic: 100 }], checks });

function problemWith(...checks: readonly object[]): string {
  try {
    readPlan(fileWith(...checks));
  } catch (error) {
    if (error instanceof AppError && error.code === 'plan.invalid') return error.message;
    throw error;
  }
  return 'no problem';
}

describe('a check in a plan', () => {
  it('has defaults for all but whom it asks and what is a failure', () => {
    expect(readPlan(fileWith(query(), hook())).checks).toEqual([
      { name: 'slo', ...DEFAULT_CHECK, source: { kind: 'prometheus', ...prometheus, failAbove: 1 } },
      { name: 'desk', ...DEFAULT_CHECK, source: { kind: 'webhook', url: 'https://desk.example/verdict?team=1' } },
    ]);
  });

  it('says all there is to say, and reads back the same', () => {
    const everything = {
      name: 'slo',
      prometheus: { ...prometheus, baseline: 'sum(x{version="{{champion}}"})', tokenFrom: 'env:UNDERSTUDY_CHECK_PROMETHEUS' },
      every: '1m',
      failAbove: { ratio: 1.5 },
      warnAbove: { ratio: 1.2, plus: 0.01 },
      failBelow: 0,
      warnBelow: 0.1,
      for: 2,
      onFailure: 'hold',
      errors: 5,
      onError: 'ignore',
      onNoData: 'ignore',
      after: '5m',
      needed: 'promotion',
    };
    const plan = readPlan(
      fileWith(everything, hook({ webhook: { url: 'https://desk.example', basicFrom: 'env:UNDERSTUDY_CHECK_DESK' } })),
    );
    expect(plan.checks).toMatchObject([
      {
        everyMs: 60_000,
        failures: 2,
        afterMs: 300_000,
        source: { auth: { kind: 'bearer', variable: 'UNDERSTUDY_CHECK_PROMETHEUS' }, failAbove: { ratio: 1.5, plus: 0 } },
      },
      { source: { auth: { kind: 'basic', variable: 'UNDERSTUDY_CHECK_DESK' } } },
    ]);
    expect(readPlan(writePlan(plan))).toEqual(plan);
    expect(PlanSchema.parse(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
  });

  it.each([
    { name: 'nobody to ask', checks: [{ name: 'slo' }], problem: 'give either prometheus or webhook' },
    { name: 'two to ask', checks: [query({ webhook: { url: 'https://a' } })], problem: 'give either prometheus or webhook' },
    { name: 'limits for a webhook', checks: [hook({ failAbove: 1 })], problem: 'a webhook gives a verdict of its own' },
    { name: 'a query without a limit', checks: [{ name: 'slo', prometheus }], problem: 'the check "slo" can never fail' },
    { name: 'two of one name', checks: [query(), query()], problem: 'two checks are called "slo"' },
    { name: 'an unknown field', checks: [query({ retries: 2 })], problem: 'checks.[1]: unknown field "retries"' },
    {
      name: 'a secret in clear',
      checks: [query({ prometheus: { ...prometheus, tokenFrom: 's3cret' } })],
      problem: 'the secret itself does not belong into a plan',
    },
    {
      name: "any other variable of the server's",
      checks: [query({ prometheus: { ...prometheus, tokenFrom: 'env:PGPASSWORD' } })],
      problem: 'begins with UNDERSTUDY_CHECK_',
    },
    {
      name: 'two secrets',
      checks: [hook({ webhook: { url: 'https://a', tokenFrom: 'env:UNDERSTUDY_CHECK_A', basicFrom: 'env:UNDERSTUDY_CHECK_B' } })],
      problem: 'give either tokenFrom or basicFrom',
    },
    { name: 'another scheme', checks: [hook({ webhook: { url: 'file:///etc/passwd' } })], problem: 'http:// or https://' },
    {
      name: 'a query in the base address',
      checks: [query({ prometheus: { ...prometheus, url: 'http://p/?a=1' } })],
      problem: 'leave out everything from the "?"',
    },
    { name: 'another method', checks: [hook({ webhook: { url: 'https://a', method: 'GET' } })], problem: 'expected "POST"' },
    { name: 'asking too often', checks: [query({ every: '500ms' })], problem: 'use at least 1s' },
    { name: 'none', checks: [], problem: 'checks' },
    { name: 'too many', checks: Array.from({ length: 17 }, (_, index) => query({ name: `c${index}` })), problem: 'checks' },
  ])('is refused with $name', ({ checks, problem }) => {
    expect(problemWith(...checks)).toContain(problem);
  });
});

describe('an answer that is stored', () => {
  const blockWith = (answer: object) => ({
    model: 'fraud',
    version: 'v2',
    arm: 'challenger',
    rollout: 'fraud-1',
    step: 0,
    startMs: 1000,
    tally: EMPTY_TALLY,
    measurement: { check: 'slo', atMs: 1000, answer },
  });

  it.each([
    { answer: { outcome: 'value', value: 0.5, baseline: '-Inf' }, isTaken: true },
    { answer: { outcome: 'value', value: '+Inf' }, isTaken: true },
    { answer: { outcome: 'verdict', verdict: 'undecided', reason: '' }, isTaken: true },
    { answer: { outcome: 'error', reason: 'x'.repeat(300) }, isTaken: true },
    { answer: { outcome: 'error', reason: 'x'.repeat(301) }, isTaken: false },
    { answer: { outcome: 'value', value: Infinity }, isTaken: false },
    { answer: { outcome: 'value', value: 'NaN' }, isTaken: false },
    { answer: { outcome: 'no-data' }, isTaken: false },
    { answer: { outcome: 'fail', reason: '' }, isTaken: false },
  ])('may be $answer: $isTaken', ({ answer, isTaken }) => {
    const block = blockWith(answer);
    const parsed = EvidenceBlockSchema.safeParse(block);
    expect(parsed.success).toBe(isTaken);
    if (parsed.success) expect(parsed.data).toEqual(block);
  });

  it('never comes from a gateway', () => {
    const block = blockWith({ outcome: 'no-data', reason: '' });
    const report = { gateway: 'g', boot: 'b', sequence: 0, revision: 0, readiness: [], blocks: [block] };
    expect(GatewayReportSchema.safeParse(report).error?.issues[0]?.message).toBe('only the control plane asks checks');
    const { measurement: _none, ...counted } = block;
    expect(GatewayReportSchema.safeParse({ ...report, blocks: [counted] }).success).toBe(true);
  });
});
