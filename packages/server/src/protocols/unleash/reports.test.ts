// What Node's SDK reports, and what counts of it.
import { describe, expect, it } from 'vitest';
import { splitFlag } from '../test-world.ts';
import { readMetricsReport } from './metrics-report.ts';
import { outcomesOf } from './reported-outcomes.ts';
import { next, openWorld, serve, startSdk } from './test-sdks.ts';

const SWITCH = splitFlag('switch', 0, {
  type: 'boolean',
  offVariant: 'off',
  variants: [
    { name: 'on', value: true },
    { name: 'off', value: false },
  ],
  fallthrough: { variant: 'on' },
});
const DOCUMENTS = { flags: [splitFlag('ml', 50_000), SWITCH], segments: [] };

const REPORTING = { disableMetrics: false, metricsInterval: 3_600_000 };

describe('an SDK', () => {
  it('registers and reports how often flags were asked', async () => {
    const world = openWorld();
    world.set(DOCUMENTS);
    const sdk = startSdk(await serve(world), REPORTING);
    await Promise.all([next(sdk, 'registered'), next(sdk, 'synchronized')]);
    const [first = '', second = ''] = ['v2', 'v1'].map((name) => {
      return Array.from({ length: 50 }, (_, index) => `u${index}`).find(
        (userId) => sdk.forceGetVariant('ml', { userId }).name === name,
      );
    });
    await sdk.flushMetrics();
    world.outcomes.length = 0;
    for (let times = 0; times < 3; times += 1) sdk.getVariant('ml', { userId: first });
    sdk.getVariant('ml', { userId: second });
    sdk.isEnabled('switch', { userId: 'a' });
    sdk.getVariant('unknown');
    const sent = next(sdk, 'sent');
    await sdk.flushMetrics();
    await sent;
    const counts = world.outcomes.map(
      ({ flag, variant, exposures, requests }) => `${flag}/${variant}: ${exposures}, ${requests}`,
    );
    expect(counts.toSorted()).toEqual(['ml/v1: 1, 0', 'ml/v2: 3, 0', 'switch/on: 1, 0']);
    expect(new Set(world.outcomes.map(({ batch }) => batch)).size).toBe(1);
  });

  it('reports requests, errors and latencies of what a flag decided as impact metrics', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 100_000)] });
    const sdk = startSdk(await serve(world), REPORTING);
    await next(sdk, 'synchronized');
    const { impactMetrics } = sdk;
    impactMetrics.defineCounter('understudy_requests', 'Requests.');
    impactMetrics.defineCounter('understudy_errors', 'Those that failed.');
    impactMetrics.defineHistogram('understudy_latency_ms', 'How long they took.', [10, 100]);
    impactMetrics.defineHistogram('understudy_score_quality', 'How good they were.', [0.5, 1]);
    impactMetrics.defineCounter('something_else', 'Ours.');
    const decided = { flagNames: ['ml'], context: { userId: 'a' } };
    sdk.getVariant('ml', { userId: 'a' });
    impactMetrics.incrementCounter('understudy_requests', 5, decided);
    impactMetrics.incrementCounter('understudy_errors', 1, decided);
    impactMetrics.incrementCounter('something_else', 7, decided);
    for (const ms of [4, 40, 50, 400]) impactMetrics.observeHistogram('understudy_latency_ms', ms, decided);
    for (const score of [0.4, 0.9]) impactMetrics.observeHistogram('understudy_score_quality', score, decided);
    const sent = next(sdk, 'sent');
    await sdk.flushMetrics();
    await sent;
    expect(world.outcomes).toHaveLength(1);
    expect(world.outcomes[0]).toMatchObject({ flag: 'ml', variant: 'v2', exposures: 1, requests: 5, errors: 1 });
    // Above the last bound is what the sum leaves for it: 494 − 10 − 2 · 100.
    expect(world.outcomes[0]?.latencies).toEqual([
      [10, 1],
      [100, 2],
      [284, 1],
    ]);
    expect(world.outcomes[0]?.scores['quality']).toEqual({ count: 2, sum: 1.3, sumSquares: 1.25 });
  });

  it('sends again what could not be taken', async () => {
    const world = openWorld();
    world.set(DOCUMENTS);
    let isFull = true;
    const report: typeof world.ports.outcomes.report = async (outcomes) => {
      if (isFull) throw new Error('the disk is full');
      await world.ports.outcomes.report(outcomes);
    };
    const served = await serve({ ...world, ports: { ...world.ports, outcomes: { report } } });
    const sdk = startSdk(served, REPORTING);
    await next(sdk, 'synchronized');
    sdk.isEnabled('switch', { userId: 'a' });
    await sdk.flushMetrics();
    expect(world.outcomes).toEqual([]);
    isFull = false;
    const sent = next(sdk, 'sent');
    await sdk.flushMetrics();
    await sent;
    expect(world.outcomes.map(({ exposures }) => exposures)).toEqual([1]);
  });
});

const counter = (name: string, labels: object, value: number) => ({
  name,
  help: '',
  type: 'counter',
  samples: [{ labels, value }],
});

describe('outcomes of a report', () => {
  it.each([
    {
      name: 'takes the count of variants where the SDK asked for variants',
      report: { bucket: { toggles: { ml: { yes: 3, no: 0, variants: { v1: 1, v2: 2 } } } } },
      expected: ['ml/v1 1 0 0', 'ml/v2 2 0 0'],
    },
    {
      name: 'takes on and off where that says which variant it was',
      report: { bucket: { toggles: { switch: { yes: 3, no: 2 }, ml: { yes: 9, no: 9 } } } },
      expected: ['switch/on 3 0 0', 'switch/off 2 0 0'],
    },
    {
      name: 'leaves out flags and variants that do not exist, and the variant of a flag that was off',
      report: {
        bucket: { toggles: { no: { yes: 1, variants: { v1: 1 } }, ml: { yes: 0, no: 2, variants: { v9: 1, disabled: 2 } } } },
      },
      expected: [],
    },
    {
      name: 'tells how often the flag was asked from the requests that ended',
      report: {
        bucket: { toggles: { ml: { yes: 50, variants: { v1: 50 } } } },
        impactMetrics: [
          counter('understudy_requests', { ml: 'v1', appName: 'a' }, 10),
          counter('understudy_errors', { ml: 'v1' }, 2),
        ],
      },
      expected: ['ml/v1 50 10 2'],
    },
    {
      name: 'leaves out errors of who counts no requests: how often the flag was asked says nothing about them',
      report: {
        bucket: { toggles: { ml: { variants: { v1: 50 } } } },
        impactMetrics: [counter('understudy_errors', { ml: 'v1' }, 2)],
      },
      expected: ['ml/v1 50 0 0'],
    },
    {
      name: 'takes a request for each error that came without one',
      report: { impactMetrics: [counter('understudy_requests', { ml: 'v2' }, 0), counter('understudy_errors', { ml: 'v1' }, 2)] },
      expected: ['ml/v1 0 2 2'],
    },
    {
      name: 'counts for each flag that decided',
      report: { impactMetrics: [counter('understudy_requests', { ml: 'v2', switch: 'on', environment: 'production' }, 4)] },
      expected: ['ml/v2 0 4 0', 'switch/on 0 4 0'],
    },
    {
      name: 'takes plain names when labels say flag and variant',
      report: {
        impactMetrics: [
          counter('requests', { flag: 'ml', variant: 'v2' }, 4),
          counter('errors', { flag: 'ml', variant: 'v2' }, 1),
        ],
      },
      expected: ['ml/v2 0 4 1'],
    },
    {
      name: 'leaves plain names of others alone',
      report: { impactMetrics: [counter('requests', { ml: 'v2' }, 4), counter('errors', { flag: 'ml' }, 1)] },
      expected: [],
    },
    {
      name: 'leaves out what cannot be read, and takes the rest',
      report: {
        appName: 7,
        news: { unknown: true },
        bucket: { start: 'x', toggles: { ml: { yes: 'many', variants: { v1: -1, v2: 3 } }, switch: 'broken' } },
        impactMetrics: [null, { type: 'gauge', name: 'understudy_requests', samples: [] }, { type: 'summary' }],
      },
      expected: ['ml/v2 3 0 0'],
    },
    { name: 'is nothing for a report without a bucket, as Python sends it', report: { bucket: null }, expected: [] },
  ])('$name', ({ report, expected }) => {
    const read = readMetricsReport(report);
    const outcomes = read === undefined ? undefined : outcomesOf(read, DOCUMENTS, { batch: 'b', atMs: 7 });
    expect(
      outcomes?.map(({ flag, variant, exposures, requests, errors }) => `${flag}/${variant} ${exposures} ${requests} ${errors}`),
    ).toEqual(expected);
  });

  it.each([
    {
      name: 'understudy_latency_seconds',
      le: '+Inf',
      expected: [
        [5, 1],
        [2000, 1],
      ],
    },
    {
      name: 'understudy_latency_ms',
      le: null,
      expected: [
        [0.005, 1],
        [2, 1],
      ],
    },
  ])('reads $name, whose last bucket has the bound $le', ({ name, le, expected }) => {
    const buckets = [
      { le: 0.005, count: 1 },
      { le, count: 2 },
    ];
    const samples = [{ labels: { ml: 'v2' }, count: 2, sum: 2.005, buckets }];
    const read = readMetricsReport({ impactMetrics: [{ name, help: '', type: 'histogram', samples }] });
    const outcomes = read === undefined ? [] : outcomesOf(read, DOCUMENTS, { batch: 'b', atMs: 7 });
    expect(outcomes[0]?.latencies.map(([ms, count]) => [Math.round(ms * 1e6) / 1e6, count])).toEqual(expected);
  });
});
