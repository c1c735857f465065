import type { Model } from '@understudy/core/model';
import type { Baseline, ModelVersion } from '@understudy/core/model-version';
import { BUILT_IN_PLANS, type Plan } from '@understudy/core/plan';
import { decide, type Decision, type Rollout, type RolloutState } from '@understudy/core/rollout';
import type { Token } from '@understudy/core/token';
import { momentsOf, EMPTY_TALLY } from '@understudy/core/evidence';
import type { Judgement, Opening, Question } from '@understudy/core/policy';
import { binCountOf, type Distribution, type PredictionBins } from '@understudy/core/prediction-bins';
import { startPolicy } from '@understudy/core/running-policy';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL, type GuardConfig } from '@understudy/core/sequential/config';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import {
  BaselineSchema,
  ModelSchema,
  ModelVersionSchema,
  Name,
  RequestFieldSchema,
  RoutingSchema,
  Sha256,
  TokenSchema,
  VersionSourceSchema,
} from './documents.ts';
import {
  DecisionSchema,
  ForecastSchema,
  GuardReadingSchema,
  PlanSchema,
  RolloutSchema,
  RolloutStateSchema,
} from './rollout-documents.ts';

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

const bins: fc.Arbitrary<PredictionBins> = fc.oneof(
  fc.record({
    kind: fc.constant('ordered'),
    edges: fc.uniqueArray(real(-1e300, 1e300), { minLength: 1, maxLength: 19 }).map((edges) => edges.toSorted((a, b) => a - b)),
  }),
  fc.record({ kind: fc.constant('classes'), classes: fc.uniqueArray(text, { maxLength: 64 }) }),
);

const distribution: fc.Arbitrary<Distribution> = bins.chain((of) => {
  const length = binCountOf(of);
  return fc.record({ bins: fc.constant(of), counts: fc.array(fc.nat(), { minLength: length, maxLength: length }) });
});

const baseline: fc.Arbitrary<Baseline> = fc.record(
  {
    count: fc.integer({ min: 2 }),
    mean: real(-1e300, 1e300),
    standardDeviation: real(0, 1e300),
    distribution,
    source: fc.constantFrom('validation', 'live'),
    setAtMs: atMs,
  },
  { requiredKeys: ['count', 'mean', 'standardDeviation', 'source', 'setAtMs'] },
);

const version: fc.Arbitrary<ModelVersion> = fc.record(
  {
    model: name,
    version: name,
    source,
    baseline,
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
    watch: fc.record({
      method: fc.constantFrom('detectors', 'window'),
      limits,
      shareDrift: real(0.001, 0.999),
      onDrift: fc.constantFrom('alert', 'roll-back'),
      checkEveryMs: real(100, 1e6),
      cooldownMs: real(0, 1e9),
    }),
    killed: fc.record(act),
    alarm: fc.record({ code: fc.constant('no-last-known-good'), message: text, sinceMs: atMs }),
    lastRollback: fc.record({ failed: name, restored: name, ...act }),
    liveRollout: name,
    rolloutCount: fc.nat(),
  },
  { requiredKeys: ['name', 'createdAtMs', 'terms', 'routing', 'watch', 'rolloutCount'] },
);

const inner = real(0.001, 0.999);
const margin = fc.record({ ratio: real(1, 1000), plus: real(0, 1) });
const weight = real(0, 1000);

const guard: fc.Arbitrary<GuardConfig> = fc.oneof(
  fc.record({
    metric: fc.constant('errors'),
    of: fc.constantFrom('all', 'invalid', 'timeouts'),
    weight,
    rollback: margin,
    promote: margin,
  }),
  fc.record({ metric: fc.constant('latency'), quantile: inner, weight, ratio: real(1, 1000), ignoreBelowMs: real(0, 1e6) }),
  fc.record({ metric: fc.constant('drift'), weight, tolerance: inner, promote: inner }),
  fc.record({
    metric: fc.constant('score'),
    name,
    better: fc.constantFrom('higher', 'lower'),
    weight,
    tolerance: inner,
    promote: inner,
  }),
  fc.record(
    { metric: fc.constant('limit'), of: fc.constantFrom('errors', 'latency'), weight, share: inner, aboveMs: real(0.001, 1e6) },
    { requiredKeys: ['metric', 'of', 'weight', 'share'] },
  ),
);

const policy: fc.Arbitrary<Plan['policy']> = fc.oneof(
  fc.record({
    kind: fc.constant('sequential'),
    alpha: real(0.001, 0.5),
    promoteRisk: real(0.001, 0.5),
    strictPromoteRisk: real(0.001, 0.5),
    guards: fc.array(guard, { minLength: 1, maxLength: 6 }),
    splitTolerance: real(0, 10),
    errorsEveryMs: real(1000, 1e6),
    othersEveryMs: real(1000, 1e6),
    silenceMs: real(1000, 1e9),
    sick: fc.record({ errorRate: inner, slowMs: real(0.001, 1e6), slowShare: inner }),
  }),
  fc.record({
    kind: fc.constant('thresholds'),
    minSamples: fc.integer({ min: 2 }),
    window: fc.integer({ min: 10, max: 10_000 }),
    p50Ratio: real(1, 100),
    p99Ratio: real(1, 100),
    ignoreLatencyBelowMs: real(0, 1e6),
    health: limits,
  }),
);

const plan: fc.Arbitrary<Plan> = fc.record(
  {
    name,
    steps: fc.array(fc.record({ trafficPercent: real(0.001, 100), holdMs: real(0, 1e9), minSamples: fc.nat() }), {
      minLength: 1,
      maxLength: 5,
    }),
    policy,
    checkEveryMs: real(100, 1e6),
    startCheck: fc.constantFrom('refuse', 'warn'),
    timeBox: fc.record({ afterMs: real(0.001, 1e10), onExpiry: fc.constantFrom('hold', 'roll-back', 'promote') }),
  },
  { requiredKeys: ['name', 'steps', 'policy', 'checkEveryMs', 'startCheck'] },
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
    baselines: fc.record({ champion: baseline, challenger: baseline }, { requiredKeys: [] }),
    bins,
    remarks: fc.array(text, { maxLength: 3 }),
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
  const byThresholds = { ...good, policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS } };
  const least = { count: 2, mean: 0, standardDeviation: 0, source: 'live', setAtMs: 0 };

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
    { name: 'checking all the time', changes: { checkEveryMs: 0 } },
    { name: 'another answer to the check at the start', changes: { startCheck: 'ignore' } },
    { name: 'a time box of nothing', changes: { timeBox: { afterMs: 0, onExpiry: 'hold' } } },
    { name: 'another end of the time box', changes: { timeBox: { afterMs: 1, onExpiry: 'shrug' } } },
  ])('in a plan: $name', ({ changes }) => {
    expect(PlanSchema.safeParse(good).success).toBe(true);
    expect(PlanSchema.safeParse({ ...good, ...changes }).success).toBe(false);
  });

  it.each([
    { name: 'a ratio below 1', changes: { p50Ratio: 0.99 } },
    { name: 'a window of none', changes: { window: 0 } },
    { name: 'a number of the other policy', changes: { alpha: 0.05 } },
  ])('in the policy thresholds: $name', ({ changes }) => {
    expect(PlanSchema.safeParse(byThresholds).success).toBe(true);
    expect(PlanSchema.safeParse({ ...byThresholds, policy: { ...byThresholds.policy, ...changes } }).success).toBe(false);
  });

  it.each([
    { name: 'no risk', changes: { alpha: 0 } },
    { name: 'a risk that nobody would take', changes: { promoteRisk: 0.51 } },
    { name: 'a negative tolerance of the split', changes: { splitTolerance: -0.1 } },
    { name: 'no guard', changes: { guards: [] } },
    {
      name: 'too many guards',
      changes: { guards: Array.from({ length: 33 }, () => ({ metric: 'drift', ...DEFAULT_GUARDS.drift })) },
    },
    { name: 'evidence that is weighed within a second', changes: { errorsEveryMs: 999 } },
    { name: 'no silence at all', changes: { silenceMs: 0 } },
    { name: 'a champion that is always sick', changes: { sick: { ...DEFAULT_SEQUENTIAL.sick, errorRate: 0 } } },
    { name: 'a champion that is never sick', changes: { sick: { ...DEFAULT_SEQUENTIAL.sick, slowShare: 1 } } },
    { name: 'a number of the other policy', changes: { p50Ratio: 1.2 } },
  ])('in the policy sequential: $name', ({ changes }) => {
    expect(PlanSchema.safeParse({ ...good, policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL } }).success).toBe(true);
    expect(PlanSchema.safeParse({ ...good, policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL, ...changes } }).success).toBe(
      false,
    );
  });

  it.each([
    { name: 'of another metric', guard: { metric: 'luck', weight: 1 } },
    { name: 'with a negative weight', guard: { metric: 'drift', ...DEFAULT_GUARDS.drift, weight: -1 } },
    { name: 'without a weight', guard: { metric: 'drift', tolerance: 0.05, promote: 0.1 } },
    { name: 'with a ratio below 1', guard: { metric: 'errors', ...DEFAULT_GUARDS.errors, rollback: { ratio: 0.9, plus: 0 } } },
    { name: 'with a negative margin', guard: { metric: 'errors', ...DEFAULT_GUARDS.errors, promote: { ratio: 1, plus: -0.1 } } },
    { name: 'with a margin beyond 1', guard: { metric: 'errors', ...DEFAULT_GUARDS.errors, promote: { ratio: 1, plus: 1.1 } } },
    { name: 'with half a margin', guard: { metric: 'errors', ...DEFAULT_GUARDS.errors, promote: { ratio: 1 } } },
    { name: 'on a quantile that is none', guard: { metric: 'latency', ...DEFAULT_GUARDS.latency, ratio: 1.2, quantile: 99 } },
    { name: 'without a quantile', guard: { metric: 'latency', ...DEFAULT_GUARDS.latency, ratio: 1.2 } },
    { name: 'with a tolerance of everything', guard: { metric: 'drift', ...DEFAULT_GUARDS.drift, tolerance: 1 } },
    { name: 'on a score without a name', guard: { metric: 'score', ...DEFAULT_GUARDS.score } },
    { name: 'on a score with a name that no report can have', guard: { metric: 'score', ...DEFAULT_GUARDS.score, name: 'a b' } },
    { name: 'with a limit of nothing', guard: { metric: 'limit', ...DEFAULT_GUARDS.limit, of: 'errors', share: 0 } },
    { name: 'with a field of another one', guard: { metric: 'drift', ...DEFAULT_GUARDS.drift, ratio: 1.2 } },
  ])('in a guard: $name', ({ guard: one }) => {
    const { policy: _, ...rest } = { ...good };
    expect(PlanSchema.safeParse({ ...rest, policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL, guards: [one] } }).success).toBe(
      false,
    );
  });

  it.each([
    { name: 'edges that fall', distribution: { bins: { kind: 'ordered', edges: [2, 1] }, counts: [1, 1, 1] } },
    { name: 'an edge twice', distribution: { bins: { kind: 'ordered', edges: [1, 1] }, counts: [1, 1, 1] } },
    { name: 'no edge', distribution: { bins: { kind: 'ordered', edges: [] }, counts: [1] } },
    {
      name: 'too many edges',
      distribution: {
        bins: { kind: 'ordered', edges: Array.from({ length: 20 }, (_, edge) => edge) },
        counts: Array.from({ length: 21 }, () => 1),
      },
    },
    { name: 'an infinite edge', distribution: { bins: { kind: 'ordered', edges: [0, Infinity] }, counts: [1, 1, 1] } },
    { name: 'a bin without a count', distribution: { bins: { kind: 'ordered', edges: [1] }, counts: [1] } },
    { name: 'a count without a bin', distribution: { bins: { kind: 'classes', classes: ['spam'] }, counts: [1, 1, 1] } },
    { name: 'a negative count', distribution: { bins: { kind: 'classes', classes: ['spam'] }, counts: [1, -1] } },
  ])('in a distribution: $name', ({ distribution: one }) => {
    const fine = { bins: { kind: 'ordered', edges: [1] }, counts: [3, 4] };
    expect(BaselineSchema.safeParse({ ...least, distribution: fine }).success).toBe(true);
    expect(BaselineSchema.safeParse({ ...least, distribution: one }).success).toBe(false);
  });

  it.each([
    { name: 'one prediction', changes: { count: 1 } },
    { name: 'a negative spread', changes: { standardDeviation: -1 } },
    { name: 'a mean that is no number', changes: { mean: Number.NaN } },
    { name: 'an infinite spread', changes: { standardDeviation: Infinity } },
  ])('in a baseline: $name', ({ changes }) => {
    expect(BaselineSchema.safeParse(least).success).toBe(true);
    expect(BaselineSchema.safeParse({ ...least, ...changes }).success).toBe(false);
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

describe('what the engine says', () => {
  const stepping: RolloutState = { phase: 'stepping', step: 0, sinceMs: 0 };
  const [standard] = BUILT_IN_PLANS;
  if (standard === undefined) throw new Error('there is no built-in plan');
  const arms = { id: 'fraud-1', model: 'fraud', champion: 'v1', challenger: 'v2' };
  const running: Rollout = { ...arms, plan: standard, salt: 's', startedAtMs: 0, startedBy: 'ann', state: stepping };

  function judged(config: Plan['policy'], challenger: Partial<typeof EMPTY_TALLY>, asked: Partial<Question> = {}): Judgement {
    const champion = { ...EMPTY_TALLY, requests: 100, latency: [[300, 100]] as const };
    const seen = { champion, challenger: { ...champion, ...challenger } };
    const opening: Opening = { startedAtMs: 0, champion, percents: [50, 100] };
    const policyOf = startPolicy(config, opening);
    for (let second = 0; second < 20; second += 1) {
      policyOf.absorb({ startMs: second * 1000, step: 0, stratum: '', arms: { ...seen, shadow: EMPTY_TALLY } });
    }
    const question = {
      atMs: 20_000,
      step: 0,
      sinceMs: 0,
      trafficPercent: 50,
      isStrictest: true,
      isLast: true,
      minSamples: 50,
      seen,
    };
    return policyOf.judge({ ...question, ...asked });
  }

  function decided(judgement: Judgement, unhealthy?: string): Decision {
    return decide(running, { atMs: 20_000, judgement, notReady: undefined, unhealthy });
  }

  const byThresholds = { kind: 'thresholds', ...DEFAULT_THRESHOLDS } as const;
  const flat: Baseline = { count: 2, mean: 0.5, standardDeviation: 0, source: 'live', setAtMs: 0 };
  const predicting = (value: number) => ({ predictions: momentsOf(Array.from({ length: 20 }, () => value)) });

  it.each([
    { name: 'an advance', judgement: judged(byThresholds, predicting(0.5), { challengerBaseline: flat }), action: 'advance' },
    {
      name: 'a rollback for drift from a baseline without spread',
      judgement: judged(byThresholds, predicting(0.7), { challengerBaseline: flat }),
      action: 'roll-back',
    },
    {
      name: 'a rollback that quotes the longest reason of a person',
      judgement: judged(byThresholds, {}),
      unhealthy: 'x'.repeat(2000),
      action: 'roll-back',
    },
    { name: 'a rollback by evidence', judgement: judged(standard.policy, { errors: 50 }), action: 'roll-back' },
    { name: 'waiting for evidence', judgement: judged(standard.policy, {}, { minSamples: 1_000_000 }), action: 'hold' },
  ])('can be read back: $name', ({ judgement, unhealthy, action }) => {
    const decision = decided(judgement, unhealthy);
    expect(decision.action).toBe(action);
    expect(DecisionSchema.parse(stored(decision))).toEqual(decision);
    expect(RolloutStateSchema.parse(stored(decision.next))).toEqual(decision.next);
  });

  it('has readings with everything that evidence gives, and a forecast', () => {
    const { guards, forecast } = judged(standard.policy, {});
    expect(guards).toHaveLength(4);
    for (const reading of guards) expect(GuardReadingSchema.parse(stored(reading))).toEqual(reading);
    expect(guards[0]).toMatchObject({ intervals: { champion: [0, expect.any(Number)] }, progress: { harm: 0 } });
    expect(ForecastSchema.parse(stored(forecast))).toEqual(forecast);
  });

  it.each([
    { name: 'progress beyond 1', changes: { progress: { harm: 0, safety: 1.1 } } },
    { name: 'half an interval', changes: { intervals: { champion: [0], challenger: [0, 1] } } },
    { name: 'half a sample', changes: { samples: 0.5 } },
    { name: 'another unit', changes: { unit: 'apples' } },
    { name: 'another verdict', changes: { verdict: 'maybe' } },
    { name: 'a value that is no number', changes: { champion: Number.NaN } },
  ])('is refused with $name', ({ changes }) => {
    const reading = { guard: 'errors', verdict: 'healthy', unit: 'share', samples: 9, reason: 'few' };
    expect(GuardReadingSchema.safeParse(reading).success).toBe(true);
    expect(GuardReadingSchema.safeParse({ ...reading, ...changes }).success).toBe(false);
  });
});
