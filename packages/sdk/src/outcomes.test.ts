import { ObservationBatch } from '@understudy/contract/observation-endpoints';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Outcomes, reportOutcomes, type ReportOutcomesOptions } from './outcomes.ts';
import type { SdkProblem } from './problem.ts';
import { type Serve, testPorts, type TestPorts } from './test-ports.contract.ts';

const RANK = { flag: 'rank-version', variant: 'v2' } as const;
const TAKEN = JSON.stringify({ outcome: 'stored', counted: 1, ignored: [] });

let problems: SdkProblem[];
beforeEach(() => {
  problems = [];
});

function begin(
  serve: Serve,
  more: Partial<ReportOutcomesOptions> = {},
): { readonly outcomes: Outcomes; readonly ports: TestPorts } {
  const ports = testPorts(serve);
  const onProblem = (problem: SdkProblem): void => void problems.push(problem);
  const outcomes = reportOutcomes({ url: 'http://server', key: 'us_a_b', reporter: 'web-1', onProblem, ...more }, ports);
  return { outcomes, ports };
}

const batchesOf = ({ asked }: TestPorts): readonly ObservationBatch[] =>
  asked.map(({ body }) => ObservationBatch.parse(JSON.parse(body)));

describe('reports', () => {
  it('go together once a second, numbered, as the server takes them', async () => {
    const { outcomes, ports } = begin(() => new Response(TAKEN), { stratum: 'eu' });
    for (let index = 0; index < 3; index += 1) outcomes.report({ ...RANK, latencyMs: index });
    outcomes.score({ ...RANK, name: 'clicked', value: 1 });
    await ports.pass(999);
    expect(ports.asked).toEqual([]);
    await ports.pass(1);
    outcomes.report(RANK);
    await ports.pass(1000);
    await ports.pass(5000);
    const [first, second, ...others] = batchesOf(ports);
    expect(first).toMatchObject({
      reporter: 'web-1',
      stratum: 'eu',
      sequence: 0,
      observations: [{ latencyMs: 0 }, { latencyMs: 1 }, { latencyMs: 2 }],
    });
    expect(first?.counts).toMatchObject([{ requests: 0, scores: { clicked: { count: 1, sum: 1 } } }]);
    expect(second).toMatchObject({ boot: first?.boot, sequence: 1, observations: [RANK] });
    expect(others).toEqual([]);
    expect(ports.asked[0]).toMatchObject({ path: '/api/v1/observations' });
    expect(outcomes.status()).toEqual({ waiting: 0, sent: 5, dropped: 0 });
  });

  it('go at once when there are many', async () => {
    const { outcomes, ports } = begin(() => new Response(TAKEN));
    for (let index = 0; index < 1000; index += 1) outcomes.report(RANK);
    await ports.pass(0);
    expect(batchesOf(ports).map(({ observations }) => observations.length)).toEqual([1000]);
  });

  it('are sent again under the same number, word for word, until they are answered', async () => {
    const answers = [new Error('cut'), 503, 429, 200];
    const serve: Serve = (_path, _init, asked) => {
      const answer = answers[asked - 1] ?? 200;
      return answer instanceof Error ? Promise.reject(answer) : new Response(TAKEN, { status: Number(answer) });
    };
    const { outcomes, ports } = begin(serve);
    outcomes.report(RANK);
    await ports.pass(1000);
    outcomes.report({ ...RANK, variant: 'v1' });
    await ports.pass(60_000);
    const bodies = ports.asked.map(({ body }) => body);
    expect(new Set(bodies.slice(0, 4)).size).toBe(1);
    expect(batchesOf(ports).map(({ sequence }) => sequence)).toEqual([0, 0, 0, 0, 1]);
    expect(outcomes.status()).toEqual({ waiting: 0, sent: 2, dropped: 0 });
  });
});

describe('what cannot be sent', () => {
  it('is dropped when too much waits, counted and told once', async () => {
    const { outcomes, ports } = begin(() => Promise.reject(new Error('away')), { maxWaiting: 10 });
    for (let index = 0; index < 25; index += 1) outcomes.report(RANK);
    expect(outcomes.status()).toEqual({ waiting: 10, sent: 0, dropped: 15 });
    expect(problems.map(({ code }) => code)).toEqual(['outcomes.dropped']);
    await ports.pass(5000);
    expect(outcomes.status()).toMatchObject({ waiting: 10 });
  });

  it('is bounded in bytes too', () => {
    const { outcomes } = begin(() => Promise.reject(new Error('away')), { maxWaiting: 1_000_000 });
    for (let index = 0; index < 10_000; index += 1) outcomes.report({ ...RANK, subject: 'x'.repeat(1000) });
    expect(outcomes.status().waiting).toBeLessThan(8 * 1024);
  });

  it('does not hold up the rest when the server will never take it', async () => {
    const { outcomes, ports } = begin(
      (_path, _init, asked) => new Response(asked === 1 ? 'no' : TAKEN, { status: asked === 1 ? 400 : 200 }),
    );
    outcomes.report(RANK);
    await ports.pass(1000);
    outcomes.report(RANK);
    await ports.pass(1000);
    expect(outcomes.status()).toEqual({ waiting: 0, sent: 1, dropped: 1 });
    expect(problems.map(({ code }) => code)).toEqual(['outcomes.refused', 'outcomes.dropped']);
  });

  it('waits while the key has no right, and is dropped once it is older than the server counts', async () => {
    let status = 403;
    const { outcomes, ports } = begin(() => new Response(TAKEN, { status }));
    outcomes.report(RANK);
    await ports.pass(600_000);
    expect(outcomes.status()).toMatchObject({ waiting: 1 });
    expect(ports.asked.length).toBeLessThan(15);
    await ports.pass(3_600_000);
    expect(outcomes.status()).toEqual({ waiting: 0, sent: 0, dropped: 1 });
    status = 200;
    outcomes.report(RANK);
    await ports.pass(120_000);
    expect(outcomes.status()).toEqual({ waiting: 0, sent: 1, dropped: 1 });
  });

  it.each([undefined, null, {}, { flag: '', variant: 'v' }, { ...RANK, latencyMs: Number.NaN }, { ...RANK, prediction: {} }])(
    'because it is %j is dropped and told, and nothing throws',
    (outcome) => {
      const { outcomes } = begin(() => new Response(TAKEN));
      outcomes.report(outcome as typeof RANK);
      expect(outcomes.status()).toEqual({ waiting: 0, sent: 0, dropped: 1 });
      expect(problems.map(({ code }) => code)).toEqual(['outcome.invalid']);
    },
  );

  it('and is left out by the server is told with its reason', async () => {
    const receipt = { outcome: 'nothing', counted: 0, ignored: [{ reason: 'there is no model "rank"', requests: 1 }] };
    const { outcomes, ports } = begin(() => new Response(JSON.stringify(receipt)));
    outcomes.report(RANK);
    await ports.pass(1000);
    expect(problems).toEqual([{ code: 'outcomes.refused', message: expect.stringContaining('there is no model "rank"') }]);
  });
});

describe('closing', () => {
  it('sends what waits, and takes nothing any more', async () => {
    const { outcomes, ports } = begin(() => new Response(TAKEN));
    outcomes.report(RANK);
    const closed = outcomes.close();
    await ports.pass(0);
    await closed;
    outcomes.report(RANK);
    await outcomes.close();
    expect(outcomes.status()).toEqual({ waiting: 0, sent: 1, dropped: 1 });
  });

  it('tries again for a while, then counts what is lost', async () => {
    const { outcomes, ports } = begin(() => Promise.reject(new Error('away')), { closeWithinMs: 3000 });
    outcomes.report(RANK);
    const closed = outcomes.close();
    await ports.pass(3000);
    await closed;
    expect(ports.asked.length).toBeGreaterThan(1);
    expect(outcomes.status()).toEqual({ waiting: 0, sent: 0, dropped: 1 });
  });

  it('does not wait for a server that never answers', async () => {
    const { outcomes, ports } = begin(
      (_path, { signal }) =>
        new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted')))),
    );
    outcomes.report(RANK);
    await ports.pass(1000);
    const closed = outcomes.close();
    await ports.pass(5000);
    await closed;
    expect(outcomes.status()).toEqual({ waiting: 0, sent: 0, dropped: 1 });
  });
});
