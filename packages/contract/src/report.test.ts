import type { EvidenceBlock, Tally } from '@understudy/core/evidence';
import { EMPTY_TALLY } from '@understudy/core/evidence';
import { nameOfEdges } from '@understudy/core/prediction-bins';
import { expect, it } from 'vitest';
import { EvidenceBlockSchema, GatewayReportSchema, MAX_NAMES } from './report.ts';

const MOMENTS = { count: 2, sum: 1, sumSquares: 0.5 };

const FULL: Tally = {
  ...EMPTY_TALLY,
  requests: 9,
  latency: [
    [0, 1],
    [1023, 6],
  ],
  coldLatency: [[512, 2]],
  predictions: { count: 9, sum: -1.5, sumSquares: 4 },
  classes: Object.fromEntries([
    ['__proto__', 3],
    ['', 1],
    ['constructor', 5],
  ]),
  bins: { [nameOfEdges([0.5])]: [4, 5] },
  scores: { accuracy: MOMENTS },
};

function blockOf(tally: object, extra: object = {}): unknown {
  return { model: 'fraud', version: 'v2', arm: 'challenger', startMs: 1000, tally: { ...FULL, ...tally }, ...extra };
}

function namesOf<T>(count: number, value: T, prefix = 'n'): Record<string, T> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`${prefix}${index}`, value]));
}

it('takes a block of everything, and gives it back unchanged', () => {
  const block: EvidenceBlock = {
    model: 'fraud',
    version: 'v2',
    arm: 'challenger',
    rollout: 'fraud-1',
    step: 0,
    stratum: 'eu-west',
    startMs: 1_700_000_000_000,
    tally: FULL,
  };
  const report = { gateway: 'g', boot: 'b', sequence: 0, revision: 0, readiness: [], blocks: [block] };
  const parsed = GatewayReportSchema.parse(JSON.parse(JSON.stringify(report)));
  expect(parsed.blocks).toEqual([block]);
  expect(Object.entries(parsed.blocks[0]?.tally.classes ?? {})).toEqual(Object.entries(FULL.classes));
});

it.each([
  { name: 'as many classes as may be', tally: { classes: namesOf(MAX_NAMES.classes, 1) } },
  {
    name: 'as many bins as may be',
    tally: {
      bins: namesOf(
        8,
        Array.from({ length: 20 }, () => 0),
        '0000000',
      ),
    },
  },
  { name: 'as many scores as may be', tally: { scores: namesOf(MAX_NAMES.scores, MOMENTS) } },
  { name: 'a full histogram', tally: { coldLatency: Array.from({ length: 1024 }, (_, bucket) => [bucket, 1]) } },
])('takes $name', ({ tally }) => {
  expect(EvidenceBlockSchema.safeParse(blockOf(tally)).success).toBe(true);
});

it.each([
  {
    name: 'a bucket that is there twice',
    tally: {
      latency: [
        [3, 1],
        [3, 1],
      ],
    },
    says: /rise/,
  },
  {
    name: 'buckets that fall',
    tally: {
      coldLatency: [
        [3, 1],
        [2, 1],
      ],
    },
    says: /rise/,
  },
  { name: 'a bucket beyond the last', tally: { latency: [[1024, 1]] }, says: /1023/ },
  { name: 'a bucket before the first', tally: { latency: [[-1, 1]] }, says: />=0/ },
  { name: 'an empty bucket', tally: { latency: [[3, 0]] }, says: />0/ },
  { name: 'half a bucket', tally: { latency: [[3.5, 1]] }, says: /int/ },
  { name: 'more bins than twenty', tally: { bins: { '01234567': Array.from({ length: 21 }, () => 1) } }, says: /<=20/ },
  { name: 'a negative count', tally: { bins: { '01234567': [-1] } }, says: />=0/ },
  { name: 'bins of another name than edges give', tally: { bins: { edges: [1] } }, says: /pattern/ },
  { name: 'too many bins', tally: { bins: namesOf(9, [1], '0000000') }, says: /at most 8 names/ },
  { name: 'too many classes', tally: { classes: namesOf(MAX_NAMES.classes + 1, 1) }, says: /at most 1000 names/ },
  { name: 'a class without requests', tally: { classes: { cat: 0 } }, says: />0/ },
  { name: 'a class with too long a name', tally: { classes: { ['x'.repeat(201)]: 1 } }, says: /<=200/ },
  { name: 'classes in a list', tally: { classes: [1] }, says: /expected an object/ },
  { name: 'no classes', tally: { classes: null }, says: /expected an object/ },
  { name: 'too many scores', tally: { scores: namesOf(33, MOMENTS) }, says: /at most 32 names/ },
  { name: 'a score that could be a path', tally: { scores: { '../x': MOMENTS } }, says: /scores/ },
  { name: 'a score without a sum', tally: { scores: { stars: { count: 1, sumSquares: 0 } } }, says: /sum/ },
  { name: 'a field that nobody knows', tally: { rating: 1 }, says: /rating/ },
])('refuses $name', ({ tally, says }) => {
  const { error } = EvidenceBlockSchema.safeParse(blockOf(tally));
  expect(error?.message).toMatch(says);
});

it.each([
  { name: 'without cold latencies', tally: { coldLatency: undefined }, extra: {} },
  { name: 'of a stratum without a name', tally: {}, extra: { stratum: '' } },
  { name: 'of a stratum that is not there', tally: {}, extra: { stratum: undefined } },
])('refuses a block $name', ({ tally, extra }) => {
  expect(EvidenceBlockSchema.safeParse(blockOf(tally, extra)).success).toBe(false);
});
