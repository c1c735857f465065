import type { Model } from '@understudy/core/model';
import type { ModelVersion } from '@understudy/core/model-version';
import { BUILT_IN_PLANS, type Plan } from '@understudy/core/plan';
import { decide, type Decision, type Rollout, type RolloutState } from '@understudy/core/rollout';
import type { Token } from '@understudy/core/token';
import { momentsOf, EMPTY_TALLY } from '@understudy/core/evidence';
import { DEFAULT_THRESHOLDS, thresholds } from '@understudy/core/thresholds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import {
  BaselineSchema,
  DecisionSchema,
  ModelSchema,
  ModelVersionSchema,
  Name,
  PlanSchema,
  RequestFieldSchema,
  RolloutSchema,
  RolloutStateSchema,
  RoutingSchema,
  Sha256,
  TokenSchema,
  VersionSourceSchema,
} from './documents.ts';

fc.configureGlobal({ seed: 1 });

// JSON has no negative zero.
const real = (min: number, max: number) => fc.double({ min, max, noNaN: true }).map((value) => value + 0);
const atMs = fc.nat(2_000_000_000_000);
const name = fc.stringMatching(/^[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,20}[a-zA-Z0-9])?$/);
const person = fc.string({ minLength: 1, maxLength: 40 });
const text = fc.string({ unit: 'binary', maxLength: 60 });
const sha256 = fc.stringMatching(/^[0-9a-f]{64}$/);
const act = { atMs, by: person, reason: text };

const tensor = fc.record({
  name: text,
  dataType: fc.constantFrom('BOOL', 'UINT8', 'INT8', 'INT16', 'INT32', 'INT64', 'FP32', 'FP64', 'BYTES'),
  shape: fc.array(fc.integer({ min: -1, max: 4096 }), { maxLength: 4 }),
});

const source: fc.Arbitrary<ModelVersion['source']> = fc.oneof(
  fc.record({
    kind: fc.constant('onnx'),
    sha256,
    bytes: fc.integer({ min: 1 }),
    signature: fc.record({ inputs: fc.array(tensor), outputs: fc.array(tensor), prediction: text }),
  }),
  fc.record({
    kind: fc.constant('upstream'),
    url: fc.webUrl(),
    protocol: fc.constantFrom('predict', 'open-inference', 'tensorflow', 'mlflow'),
    remoteModel: text,
  }),
);

const version: fc.Arbitrary<ModelVersion> = fc.record(
  {
    model: name,
    version: name,
    source,
    baseline: fc.record({
      count: fc.integer({ min: 2 }),
      mean: real(-1e300, 1e300),
      standardDeviation: real(0, 1e300),
      source: fc.constantFrom('validation', 'live'),
      setAtMs: atMs,
    }),
    health: fc.oneof(fc.record({ state: fc.constant('healthy') }), fc.record({ state: fc.constant('unhealthy'), ...act })),
    note: text,
    registeredAtMs: atMs,
    registeredBy: person,
  },
  { requiredKeys: ['model', 'version', 'source', 'health', 'note', 'registeredAtMs', 'registeredBy'] },
);

const field = fc.oneof(
  fc.record({ from: fc.constant('header'), name: fc.stringMatching(/^[a-z0-9-]{1,30}$/) }),
  fc.record({ from: fc.constant('cookie'), name: person }),
  fc.record({ from: fc.constant('json'), path: person }),
  fc.record({ from: fc.constant('api-key') }),
);

const rule = fc.record({
  id: name,
  all: fc.array(
    fc.record({
      field,
      operator: fc.constantFrom('in', 'not-in', 'starts-with', 'ends-with', 'contains', 'present', 'absent'),
      values: fc.array(text, { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  serve: fc.constantFrom('champion', 'challenger'),
});

const limits = fc.record({
  window: fc.integer({ min: 10, max: 10_000 }),
  minSamples: fc.integer({ min: 1, max: 10_000 }),
  p95LatencyMs: real(0.001, 1e6),
  errorRate: real(0, 1),
  meanDrift: real(0.001, 100),
});

const model: fc.Arbitrary<Model> = fc.record(
  {
    name,
    createdAtMs: atMs,
    champion: name,
    terms: fc.array(
      fc.record(
        { version: name, fromMs: atMs, untilMs: atMs, began: fc.constantFrom('promotion', 'rollback') },
        { requiredKeys: ['version', 'fromMs', 'began'] },
      ),
      { maxLength: 3 },
    ),
    routing: fc.record({
      subject: fc.array(field, { maxLength: 3 }),
      rules: fc.array(rule, { maxLength: 3 }),
      deadlineMs: real(10, 600_000),
    }),
    watch: fc.record({ limits, checkEveryMs: real(100, 1e6), cooldownMs: real(0, 1e9) }),
    killed: fc.record(act),
    alarm: fc.record({ code: fc.constant('no-last-known-good'), message: text, sinceMs: atMs }),
    lastRollback: fc.record({ failed: name, restored: name, ...act }),
    liveRollout: name,
    rolloutCount: fc.nat(),
  },
  { requiredKeys: ['name', 'createdAtMs', 'terms', 'routing', 'watch', 'rolloutCount'] },
);

const plan: fc.Arbitrary<Plan> = fc.record(
  {
    name,
    steps: fc.array(fc.record({ trafficPercent: real(0.001, 100), holdMs: real(0, 1e9), minSamples: fc.nat() }), {
      minLength: 1,
      maxLength: 5,
    }),
    policy: fc.record({
      kind: fc.constant('thresholds'),
      minSamples: fc.integer({ min: 2 }),
      window: fc.integer({ min: 10, max: 10_000 }),
      p50Ratio: real(1, 100),
      p99Ratio: real(1, 100),
      ignoreLatencyBelowMs: real(0, 1e6),
      health: limits,
    }),
    checkEveryMs: real(100, 1e6),
    timeBox: fc.record({ afterMs: real(0.001, 1e10), onExpiry: fc.constantFrom('hold', 'roll-back') }),
  },
  { requiredKeys: ['name', 'steps', 'policy', 'checkEveryMs'] },
);

const state: fc.Arbitrary<RolloutState> = fc.oneof(
  fc.record({ phase: fc.constant('preparing'), sinceMs: atMs }),
  fc.record({ phase: fc.constant('stepping'), step: fc.nat(9), sinceMs: atMs }),
  fc.record({ phase: fc.constant('paused'), step: fc.nat(9), heldMs: atMs, ...act }),
  fc.record({ phase: fc.constant('promoted'), ...act }),
  fc.record({ phase: fc.constantFrom('rolled-back', 'aborted', 'killed'), step: fc.integer({ min: -1, max: 9 }), ...act }),
);

const rollout: fc.Arbitrary<Rollout> = fc.record(
  {
    id: name,
    model: name,
    champion: name,
    challenger: name,
    plan,
    salt: text,
    startedAtMs: atMs,
    startedBy: person,
    retryOf: name,
    state,
  },
  { requiredKeys: ['id', 'model', 'champion', 'challenger', 'plan', 'salt', 'startedAtMs', 'startedBy', 'state'] },
);

const token: fc.Arbitrary<Token> = fc.record(
  {
    id: text,
    name: text,
    sha256,
    scopes: fc.subarray(['predict', 'feedback', 'read', 'operate', 'admin'], { minLength: 1 }),
    createdAtMs: atMs,
    createdBy: person,
    expiresAtMs: atMs,
  },
  { requiredKeys: ['id', 'name', 'sha256', 'scopes', 'createdAtMs', 'createdBy'] },
);

interface Kind {
  readonly name: string;
  readonly schema: z.ZodType;
  readonly documents: fc.Arbitrary<object>;
}

const kinds: readonly Kind[] = [
  { name: 'a model', schema: ModelSchema, documents: model },
  { name: 'a version', schema: ModelVersionSchema, documents: version },
  { name: 'a plan', schema: PlanSchema, documents: plan },
  { name: 'a rollout', schema: RolloutSchema, documents: rollout },
  { name: 'a token', schema: TokenSchema, documents: token },
];

function stored(document: unknown): unknown {
  return JSON.parse(JSON.stringify(document));
}

/** The document with one more field in one of its objects: the n-th of those that a schema describes. */
function withUnknownField(document: object, index: number): object {
  const copy: object = structuredClone(document);
  const objects: object[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (!Array.isArray(value)) objects.push(value);
    for (const inner of Object.values(value)) visit(inner);
  };
  visit(copy);
  Object.assign(objects[index % objects.length] ?? copy, { surprise: 1 });
  return copy;
}

describe.each(kinds)('the schema of $name', ({ schema, documents }) => {
  it('reads back what was stored, unchanged', () => {
    fc.assert(
      fc.property(documents, (document) => {
        expect(schema.parse(stored(document))).toEqual(document);
      }),
    );
  });

  it('refuses an unknown field anywhere', () => {
    fc.assert(
      fc.property(documents, fc.nat(50), (document, index) => {
        expect(schema.safeParse(withUnknownField(document, index)).success).toBe(false);
      }),
    );
  });

  it.each([null, undefined, [], 'text', 7, {}])('refuses %o', (value) => {
    expect(schema.safeParse(value).success).toBe(false);
  });

  it('refuses null in the place of a field', () => {
    fc.assert(
      fc.property(documents, fc.nat(50), (document, index) => {
        const keys = Object.keys(document);
        const broken = { ...document, [keys[index % keys.length] ?? '']: null };
        expect(schema.safeParse(broken).success).toBe(false);
      }),
    );
  });
});

describe('a name', () => {
  it.each(['a', 'A', '7', 'fraud', 'Fraud-v2.1_rc', 'a..b', 'constructor', 'a'.repeat(63)])('may be "%s"', (value) => {
    expect(Name.parse(value)).toBe(value);
  });

  it.each([
    '',
    ' ',
    'a b',
    '-a',
    'a-',
    '.',
    '..',
    '.a',
    'a.',
    '_a',
    '__proto__',
    'a/b',
    'a\\b',
    'a%2fb',
    'a:b',
    'a\n',
    '\u0000',
    'é',
    '\u212A',
    '\u017F',
    'ａ',
    'a'.repeat(64),
  ])('may not be %o', (value) => {
    expect(Name.safeParse(value).success).toBe(false);
  });
});

describe('a hash', () => {
  it.each(['', 'a'.repeat(63), 'a'.repeat(65), 'A'.repeat(64), 'g'.repeat(64), `${'a'.repeat(64)}\n`])(
    'may not be %o',
    (value) => {
      expect(Sha256.safeParse(value).success).toBe(false);
    },
  );
});

describe('numbers out of range are refused', () => {
  const step = { trafficPercent: 10, holdMs: 0, minSamples: 0 };
  const [good] = BUILT_IN_PLANS;
  const baseline = { count: 2, mean: 0, standardDeviation: 0, source: 'live', setAtMs: 0 };

  it.each([
    { name: 'no step', changes: { steps: [] } },
    { name: 'a share of 0 %', changes: { steps: [{ ...step, trafficPercent: 0 }] } },
    { name: 'a share above 100 %', changes: { steps: [{ ...step, trafficPercent: 100.001 }] } },
    { name: 'a share that is no number', changes: { steps: [{ ...step, trafficPercent: Number.NaN }] } },
    { name: 'a share as a text', changes: { steps: [{ ...step, trafficPercent: '10' }] } },
    { name: 'a negative hold', changes: { steps: [{ ...step, holdMs: -1 }] } },
    { name: 'an endless hold', changes: { steps: [{ ...step, holdMs: Infinity }] } },
    { name: 'half a sample', changes: { steps: [{ ...step, minSamples: 0.5 }] } },
    { name: 'another policy', changes: { policy: { ...good?.policy, kind: 'coin' } } },
    { name: 'a ratio below 1', changes: { policy: { ...good?.policy, p50Ratio: 0.99 } } },
    { name: 'a window of none', changes: { policy: { ...good?.policy, window: 0 } } },
    { name: 'checking all the time', changes: { checkEveryMs: 0 } },
    { name: 'a time box of nothing', changes: { timeBox: { afterMs: 0, onExpiry: 'hold' } } },
    { name: 'another end of the time box', changes: { timeBox: { afterMs: 1, onExpiry: 'promote' } } },
  ])('in a plan: $name', ({ changes }) => {
    expect(PlanSchema.safeParse(good).success).toBe(true);
    expect(PlanSchema.safeParse({ ...good, ...changes }).success).toBe(false);
  });

  it.each([
    { name: 'one prediction', changes: { count: 1 } },
    { name: 'a negative spread', changes: { standardDeviation: -1 } },
    { name: 'a mean that is no number', changes: { mean: Number.NaN } },
    { name: 'an infinite spread', changes: { standardDeviation: Infinity } },
  ])('in a baseline: $name', ({ changes }) => {
    expect(BaselineSchema.safeParse(baseline).success).toBe(true);
    expect(BaselineSchema.safeParse({ ...baseline, ...changes }).success).toBe(false);
  });

  it('in an artifact: no bytes', () => {
    const signature = { inputs: [], outputs: [], prediction: 'y' };
    const artifact = { kind: 'onnx', sha256: 'a'.repeat(64), bytes: 1, signature };
    expect(VersionSourceSchema.safeParse(artifact).success).toBe(true);
    expect(VersionSourceSchema.safeParse({ ...artifact, bytes: 0 }).success).toBe(false);
    expect(VersionSourceSchema.safeParse({ ...artifact, kind: 'pickle' }).success).toBe(false);
  });
});

describe('routing', () => {
  it('writes header names in lower case, as requests carry them', () => {
    expect(RequestFieldSchema.parse({ from: 'header', name: 'X-User-Id' })).toEqual({ from: 'header', name: 'x-user-id' });
  });

  it('lets a condition leave out its values', () => {
    const condition = { field: { from: 'api-key' }, operator: 'present' };
    const routing = { subject: [], rules: [{ id: 'r', all: [condition], serve: 'champion' }], deadlineMs: 5000 };
    expect(RoutingSchema.parse(routing).rules[0]?.all).toEqual([{ ...condition, values: [] }]);
  });

  it('refuses a rule without a condition, which every request would meet', () => {
    const routing = { subject: [], rules: [{ id: 'r', all: [], serve: 'challenger' }], deadlineMs: 5000 };
    expect(RoutingSchema.safeParse(routing).success).toBe(false);
  });
});

describe('decisions of the engine', () => {
  const flat = { count: 2, mean: 0.5, standardDeviation: 0, source: 'live', setAtMs: 0 } as const;
  const stepping: RolloutState = { phase: 'stepping', step: 0, sinceMs: 0 };
  const [standard] = BUILT_IN_PLANS;
  if (standard === undefined) throw new Error('there is no built-in plan');
  const arms = { id: 'fraud-1', model: 'fraud', champion: 'v1', challenger: 'v2' };
  const running: Rollout = { ...arms, plan: standard, salt: 's', startedAtMs: 0, startedBy: 'ann', state: stepping };

  function decided(predictions: readonly number[], unhealthy?: string): Decision {
    const tally = { ...EMPTY_TALLY, requests: 100, latency: [[300, 100] as const], predictions: momentsOf(predictions) };
    const block = { model: 'fraud', version: 'v2', rollout: 'fraud-1', step: 0, startMs: 0, tally };
    const seen = (['champion', 'challenger'] as const).reduce(
      (sum, arm) => thresholds.absorb(DEFAULT_THRESHOLDS, sum, { ...block, arm }),
      thresholds.open(DEFAULT_THRESHOLDS),
    );
    const judgement = thresholds.judge(DEFAULT_THRESHOLDS, seen, { step: 0, minSamples: 50, challengerBaseline: flat });
    return decide(running, { atMs: 1000, judgement, notReady: undefined, unhealthy });
  }

  it.each([
    { name: 'an advance', decision: decided(Array.from({ length: 20 }, () => 0.5)), action: 'advance' },
    {
      name: 'a rollback for drift from a baseline without spread',
      decision: decided(Array.from({ length: 20 }, () => 0.7)),
      action: 'roll-back',
    },
    {
      name: 'a rollback that quotes the longest reason of a person',
      decision: decided([], 'x'.repeat(2000)),
      action: 'roll-back',
    },
  ])('can be read back: $name', ({ decision, action }) => {
    expect(decision.action).toBe(action);
    expect(DecisionSchema.parse(stored(decision))).toEqual(decision);
    expect(RolloutStateSchema.parse(stored(decision.next))).toEqual(decision.next);
  });
});
