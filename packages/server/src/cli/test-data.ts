/** Answers of a control plane for tests: one model in the middle of a rollout. Every text in them can be made naughty. */
import { standingOf } from './test-local-data.ts';
import type { Answer } from '@understudy/contract/client';
import type { EndpointName } from '@understudy/contract/endpoints';
import { viewOfTally } from '@understudy/contract/tally-view';
import type { RolloutView } from '@understudy/contract/views';
import { EMPTY_TALLY } from '@understudy/core/evidence';
import type { Flag } from '@understudy/core/flags/flag';
import type { Segment } from '@understudy/core/flags/segment';
import { bucketOfLatency, type Histogram } from '@understudy/core/histogram';
import { DEFAULT_ROUTING, DEFAULT_WATCH } from '@understudy/core/model';
import type { GuardReading, Verdict } from '@understudy/core/policy';
import type { Decision, RolloutState } from '@understudy/core/rollout';
import { DEFAULT_SEQUENTIAL } from '@understudy/core/sequential/config';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import { peopleAnswers } from './test-people-data.ts';
import { shadowAnswers } from './test-shadow-data.ts';

/** 2026-01-31 12:00:00Z, when every test takes place. */
export const NOW_MS: number = Date.UTC(2026, 0, 31, 12);

const SHA256: string = 'ab'.repeat(32);

const GUARDS: readonly GuardReading[] = [
  {
    guard: 'latency.p50',
    verdict: 'healthy',
    champion: 1.2,
    challenger: 1.1,
    limit: 1.44,
    unit: 'ms',
    samples: 305,
    reason: "p50 1.10 ms is 0.92× the champion's 1.20 ms and is within 1.2×",
  },
  {
    guard: 'health.errors',
    verdict: 'healthy',
    champion: 0.002,
    challenger: 0,
    limit: 0.05,
    unit: 'share',
    samples: 305,
    reason: 'error rate 0.00 % (0 of 305) is within 5.00 %',
  },
  {
    guard: 'health.mean-drift',
    verdict: 'no-data',
    limit: 2,
    unit: 'standard deviations',
    samples: 305,
    reason: 'no baseline is registered, so drift is not judged',
  },
];

export const STEPPING: RolloutState = { phase: 'stepping', step: 1, sinceMs: NOW_MS - 250_000 };

const ADVANCE: Decision = {
  action: 'advance',
  verdict: 'healthy',
  reason: 'from 10 % to 25 %: every guard is within its limit after 120 requests',
  guards: GUARDS.slice(0, 1),
  next: STEPPING,
};

/** A rollout view in any state; live ones carry what the engine sees. */
export function rolloutView(state: RolloutState = STEPPING, text = '305 of 500 requests that this step asks for'): RolloutView {
  const isLive = state.phase === 'stepping' || state.phase === 'preparing' || state.phase === 'paused';
  const verdict: Verdict = 'undecided';
  const guards = GUARDS.map((guard) => ({ ...guard, reason: `${guard.reason}${text.startsWith('305') ? '' : text}` }));
  const base = { id: 'digits-3', model: 'digits', champion: 'v1', challenger: 'v2', salt: 'salt' };
  const steps = [10, 25, 50, 75, 100].map((trafficPercent) => ({ trafficPercent, holdMs: 0, minSamples: 500 }));
  return {
    rollout: {
      ...base,
      plan: {
        name: 'standard',
        checkEveryMs: 10_000,
        startCheck: 'warn',
        policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS },
        steps,
      },
      startedAtMs: NOW_MS - 720_000,
      startedBy: 'alice',
      state,
    },
    challengerPercent: isLive ? 25 : 0,
    ...(isLive ? { now: { verdict, reason: text, guards, atMs: NOW_MS } } : {}),
    arms: [
      { arm: 'champion', version: 'v1', requests: 935, errors: 2, rescued: 0, p50Ms: 1.2, p99Ms: 4.8 },
      { arm: 'challenger', version: 'v2', requests: 305, errors: 0, rescued: 0, p50Ms: 1.1, p99Ms: 4.2 },
    ],
    lastDecision: {
      atMs: NOW_MS - 250_000,
      decision: ADVANCE,
    },
    warnings: ['v2 has no baseline, so drift is not judged'],
  };
}

const WEIGHED: readonly GuardReading[] = [
  {
    guard: 'errors',
    verdict: 'undecided',
    champion: 0.0102,
    challenger: 0.0143,
    limit: 0.01222,
    margin: 0.0183,
    intervals: { champion: [0.0081, 0.013], challenger: [0.0101, 0.0201] },
    progress: { harm: 0.38, safety: 0.71 },
    unit: 'share',
    samples: 3412,
    reason:
      'failed requests: challenger 1.4 %, champion 1 %, harm begins above 1.2 %; evidence of harm 3.1 to 1, 50 to 1 rolls back; evidence of safety 8.4 to 1, 20 to 1 is proof',
  },
  {
    guard: 'latency.p99',
    verdict: 'healthy',
    champion: 31.2,
    challenger: 30.8,
    limit: 46.8,
    margin: 46.8,
    intervals: { champion: [29.9, 33.6], challenger: [28.1, 35.2] },
    progress: { harm: 0, safety: 1 },
    unit: 'ms',
    samples: 3312,
    reason:
      'p99 latency: challenger 30.8 ms, champion 31.2 ms, harm begins above 46.8 ms; no evidence of harm; proven safe, 31 to 1',
  },
  {
    guard: 'drift',
    verdict: 'no-data',
    progress: { harm: 0, safety: 0 },
    unit: 'share',
    samples: 0,
    reason: 'predictions: 0 on the challenger so far; no evidence of harm; no evidence of safety yet, 20 to 1 is proof',
  },
];

/** A live rollout of the policy `sequential`: guards with intervals and progress, and a forecast. */
export function weighedView(): RolloutView {
  const view = rolloutView();
  const sentence =
    'at the present traffic about 3m 20s to a verdict; a regression from 1 % to 1.9 % errors would be caught with 80 % probability by then';
  const reason = 'no harm found, and not proven safe yet; of the proof there is: errors 71 %, drift 0 %';
  const now = { verdict: 'undecided' as const, reason, guards: [...WEIGHED], forecast: { verdictInMs: 200_000, sentence } };
  return {
    ...view,
    rollout: { ...view.rollout, plan: { ...view.rollout.plan, policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL } } },
    now: { ...now, atMs: NOW_MS },
    arms: [
      { arm: 'champion', version: 'v1', requests: 10_236, errors: 104, rescued: 0, p50Ms: 12.2, p99Ms: 31.2 },
      { arm: 'challenger', version: 'v2', requests: 3412, errors: 49, rescued: 49, p50Ms: 12.1, p99Ms: 30.8 },
    ],
    warnings: ['the guard drift has no data and is left out: nobody knows what predictions look like'],
  };
}

/** One answer for every endpoint. @param text goes wherever a person or a machine may write what it likes */
export function answers(text = 'fine'): { readonly [Name in EndpointName]: Answer<Name> } {
  return {
    ...environmentAnswers(text),
    ...modelAnswers(text),
    ...versionAnswers(text),
    ...rolloutAnswers(text),
    ...flagAnswers(text),
    ...shadowAnswers(text, { nowMs: NOW_MS, guards: WEIGHED, stopped: outcome(text) }),
    ...peopleAnswers(text, NOW_MS),
  };
}

function outcome(text: string): Answer<'killModel'> {
  return { outcome: 'done', message: `done: ${text}`, revision: 43 };
}

function environmentAnswers(text: string) {
  const ready = { model: 'digits', version: 'v2', state: 'ready' as const, detail: text };
  const gateway = {
    gateway: text,
    boot: 'b',
    revision: 42,
    seenAtMs: NOW_MS - 1000,
    isConnected: true,
    readiness: [ready],
    standing: standingOf(text, NOW_MS),
  };
  const token = { id: 't1', name: text, scopes: ['admin' as const], createdAtMs: NOW_MS, createdBy: text };
  const sdk = { family: 'unleash' as const, sdk: text, application: text, isLocal: true };
  const entry = { revision: 42, atMs: NOW_MS, actor: text, action: text, reason: text, previousHash: 'a', hash: 'b' };
  return {
    whoAmI: { id: 't1', name: text, scopes: ['admin' as const], environment: text },
    getStatus: { environment: text, revision: 42, release: '0.1.0', models: [modelView(text)], gateways: [gateway] },
    listGateways: [gateway],
    readJournal: [{ ...entry, changes: [{ kind: 'model', id: text, before: null, after: { note: text } }] }],
    verifyJournal: { intact: true, entries: 42, head: 'b' },
    createToken: { token, secret: 'us_secret' },
    listTokens: [token],
    revokeToken: outcome(text),
    reportObservations: { outcome: 'stored' as const, counted: 3, ignored: [{ reason: text, requests: 1 }] },
    giveFeedback: { accepted: 1, late: 0, ignored: [{ index: 0, reason: text }] },
    getFeedback: {
      model: text,
      labelsDueMs: 3_600_000,
      sinceMs: 0,
      judgedUntilMs: NOW_MS,
      scores: [{ name: text, version: text, arm: 'champion' as const, rollout: text, requests: 4, mean: 0.5, judged: 2 }],
      lag: { p50Ms: 1000, p90Ms: 3000, p99Ms: 7000 },
    },
    listSdks: [{ ...sdk, firstSeenAtMs: NOW_MS, seenAtMs: NOW_MS, warnings: [text] }],
  };
}

/** The model of the rollout; killed when the text is not `fine`. */
export function modelView(text = 'fine'): Answer<'getModel'> {
  const act = { atMs: NOW_MS - 60_000, by: text, reason: text };
  return {
    model: {
      name: 'digits',
      createdAtMs: NOW_MS - 7_200_000,
      champion: 'v1',
      terms: [{ version: 'v1', fromMs: NOW_MS - 3_600_000, began: 'promotion' }],
      routing: DEFAULT_ROUTING,
      watch: DEFAULT_WATCH,
      ...(text === 'fine' ? {} : { killed: act, lastRollback: { ...act, failed: 'v0', restored: 'v1' } }),
      liveRollout: 'digits-3',
      rolloutCount: 3,
    },
    lastKnownGood: 'v0',
    wayBack: { outcome: 'doubtful', warnings: [text] },
    goldenRequests: 2,
    challengerPercent: 25,
    watch: { state: 'healthy', reason: text, guards: [...GUARDS] },
  };
}

function modelAnswers(text: string) {
  const model = modelView(text);
  const request = { body: { features: [1, text] }, expect: [0.7, text], tolerance: 0.1 };
  const golden = {
    model: 'digits',
    golden: { protocol: 'predict' as const, requests: [request], setAtMs: NOW_MS - 60_000, setBy: text },
  };
  return {
    createModel: model,
    listModels: [model],
    getModel: model,
    updateModel: model,
    getChampion: { model: 'digits', atMs: NOW_MS, champion: 'v1' },
    rollBackModel: outcome(text),
    drillRollback: {
      model: 'digits',
      outcome: 'works' as const,
      target: 'v0',
      checks: [{ name: 'target' as const, outcome: 'ok' as const, detail: text }],
      atMs: NOW_MS,
    },
    getGolden: golden,
    setGolden: golden,
    clearGolden: golden,
    killModel: outcome(text),
    unkillModel: outcome(text),
  };
}

function versionAnswers(text: string) {
  const version: Answer<'setBaseline'>['version'] = {
    model: 'digits',
    version: 'v2',
    source: { kind: 'upstream', url: 'http://10.0.0.7:8000', protocol: 'mlflow', remoteModel: text },
    health: { state: 'unhealthy', reason: text, by: text, atMs: NOW_MS - 60_000 },
    baseline: { count: 100, mean: 0.5, standardDeviation: 0.1, source: 'validation', setAtMs: NOW_MS },
    note: text,
    registeredAtMs: NOW_MS - 3_600_000,
    registeredBy: text,
  };
  const ready = { model: 'digits', version: 'v2', state: 'ready' as const, detail: text };
  const view: Answer<'getVersion'> = { version, role: 'challenger', readiness: { [text]: ready } };
  return {
    uploadArtifact: { sha256: SHA256, bytes: 3, signature: { inputs: [], outputs: [], prediction: text } },
    registerVersion: view,
    listVersions: [view],
    getVersion: view,
    promoteVersion: outcome(text),
    setVersionHealth: { version },
    releaseArtifact: outcome(text),
    setBaseline: { version },
  };
}

function rolloutAnswers(text: string) {
  const rollout = rolloutView(STEPPING, text === 'fine' ? undefined : text);
  const plan = { name: 'standard', steps: [{ traffic: 10 }, { traffic: 100 }] };
  return {
    startRollout: rollout,
    listRollouts: [rollout],
    getRollout: rollout,
    listDecisions: [{ rollout: 'digits-3', window: 7, revision: 42, atMs: NOW_MS, decision: { ...ADVANCE, reason: text } }],
    replayRollout: {
      outcome: 'replayed' as const,
      isFaithful: true,
      decisions: [
        {
          atMs: NOW_MS - 700_000,
          action: 'begin' as const,
          recorded: 'no-data' as const,
          replayed: 'no-data' as const,
          isSame: true,
        },
        {
          atMs: NOW_MS - 250_000,
          action: 'advance' as const,
          recorded: 'healthy' as const,
          replayed: 'healthy' as const,
          isSame: true,
        },
      ],
    },
    getRolloutEvidence: evidenceAnswer(),
    pauseRollout: rollout,
    resumeRollout: rollout,
    approveRollout: rollout,
    promoteRollout: rollout,
    abortRollout: rollout,
    rollBackRollout: rollout,
    stepRollout: rollout,
    retryRollout: rollout,
    listPlans: [plan],
    getPlan: plan,
    savePlan: plan,
  };
}

function flagAnswers(text: string) {
  const flag: Flag = {
    key: 'checkout',
    type: 'string',
    description: text,
    on: true,
    offVariant: 'old',
    variants: ['new', 'old'].map((name) => ({ name, value: text })),
    prerequisites: [],
    pins: [],
    rules: [{ id: text, all: [], serve: { variant: 'new' } }],
    fallthrough: { split: { slices: ['new', 'old'].map((variant) => ({ variant, weight: 50_000 })) } },
    bucketing: { profile: 'unleash', salt: 'checkout' },
  };
  const segment: Segment = { key: 'testers', name: text, included: [{ keys: [text] }], excluded: [], rules: [] };
  const view = { flag, revision: 7, neededBy: [text], notes: [text] };
  const segmentView = { segment, revision: 7, usedBy: [text], notes: [text] };
  const losses = [{ about: text, sentence: text }];
  return {
    listFlags: [view, { ...view, revision: 0, follows: 'digits' }],
    getFlag: view,
    saveFlag: view,
    deleteFlag: outcome(text),
    switchFlag: outcome(text),
    rampFlag: outcome(text),
    evaluateFlag: {
      flag: 'checkout',
      value: text,
      variant: 'new',
      reason: 'SPLIT' as const,
      detail: { kind: 'fallthrough' as const },
      isEnabled: true,
      isInExperiment: false,
      why: [
        { step: 'switch' as const, sentence: 'The flag is on.' },
        { step: 'fallthrough' as const, sentence: text },
      ],
    },
    bucketOfSubject: { subject: text, bucket: 4711 },
    importFlags: {
      outcome: 'written' as const,
      message: text,
      flags: [flag],
      segments: [segment],
      replaced: [text],
      losses,
      leftOut: losses,
    },
    listSegments: [segmentView],
    getSegment: segmentView,
    saveSegment: segmentView,
    deleteSegment: outcome(text),
  };
}

/** Ten minutes of both arms. */
function evidenceAnswer(): Answer<'getRolloutEvidence'> {
  const latency: Histogram = [10, 20, 30].map((ms) => [bucketOfLatency(ms), 1000]);
  const tally = viewOfTally({ ...EMPTY_TALLY, requests: 3000, errors: 30, latency });
  return {
    arms: [
      { arm: 'challenger', version: 'v2', step: 1, tally: { ...tally, errors: 900 } },
      { arm: 'champion', version: 'v1', step: 1, tally },
    ],
    span: { fromMs: NOW_MS - 600_000, untilMs: NOW_MS },
  };
}
