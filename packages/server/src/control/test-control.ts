/** A control API over an empty store in memory, with a token for each scope. Only tests depend on it. */
import { AppError, isAppError } from '@understudy/core/errors';
import { viewOfTally } from '@understudy/contract/tally-view';
import { EMPTY_TALLY, type Tally } from '@understudy/core/evidence';
import type { DataType, Signature } from '@understudy/core/model-version';
import type { Judgement } from '@understudy/core/policy';
import { type Scope, SCOPES } from '@understudy/core/token';
import type { Clock } from '../clock.ts';
import type { CommandContext } from '../commands/command.ts';
import { createToken } from '../commands/tokens.ts';
import { openSqliteStore } from '../storage/sqlite-store.ts';
import { compileRegex } from '../regex.ts';
import { type ControlApi, type ControlOptions, type MountedProtocol, openControlApi } from './app.ts';
import { type KnownRequest, openFeedbackIntake } from './feedback.ts';
import { openFlagFeed } from './flag-feed.ts';
import { openObservations } from './observations.ts';
import type { ArtifactIntake, CheckDesk, EngineWindow, HookDesk } from './ports.ts';
import { problemOfHookUrl } from './upstream-address.ts';
import { openSdkSightings, type SdkSightings } from './sdk-sightings.ts';

/** A log line of the API under test. */
export interface LogLine {
  readonly level: 'warn' | 'error';
  readonly event: string;
  readonly fields: object;
}

export interface TestControl extends AsyncDisposable {
  readonly api: ControlApi;
  readonly context: CommandContext;
  readonly clock: Clock & { nowMs: () => number; pass: (ms: number) => void };
  readonly log: readonly LogLine[];
  /** What the engine was asked to step. */
  readonly steps: readonly Parameters<EngineWindow['step']>[];
  /** A token with one scope, made at the start. */
  tokenFor(scope: Scope): string;
  /** A new token, with its secret. */
  addToken(name: string, scopes: readonly Scope[], expiresInMs?: number): Promise<string>;
  readonly sdks: SdkSightings;
  /** What the engine says from now on. */
  engineSays(seen: { readonly judgement?: Judgement; readonly live?: Tally }): void;
}

export const ONNX_SHA256: string = 'a'.repeat(64);
/** A file that predicts labels. */
export const CLASSIFIER_SHA256: string = 'c'.repeat(64);

/** An id as these tests write it; gateways sign theirs. */
export function testIdOf(request: KnownRequest): string {
  return `test:${JSON.stringify(request)}`;
}

function openTestId(id: string): KnownRequest | undefined {
  return id.startsWith('test:') ? JSON.parse(id.slice(5)) : undefined;
}

/** The code and message of what a call is refused with. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (isAppError(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'not refused';
}

const SILENT = { warn: (): void => {}, error: (): void => {} };

export const NO_DATA: Judgement = { verdict: 'no-data', reason: 'not enough data: 0 of 50 requests', guards: [] };

export async function openTestControl(
  options: Partial<ControlOptions> = {},
  protocols: readonly MountedProtocol[] = [],
): Promise<TestControl> {
  const store = await openSqliteStore(':memory:');
  const clock = movableClock(Date.UTC(2026, 10, 21));
  const context: CommandContext = { store, environment: 'production', clock };
  const log: LogLine[] = [];
  const steps: Parameters<EngineWindow['step']>[] = [];
  const seen: { judgement: Judgement; live: Tally } = { judgement: NO_DATA, live: EMPTY_TALLY };
  const sdks = openSdkSightings(clock);
  const flags = await openFlagFeed({ ...context, compileRegex, timers: { after: () => () => {} }, log: SILENT });
  const api = await openControlApi(
    { environment: 'production', release: '1.2.3', ownPorts: [7070, 7071], ...options },
    {
      store,
      clock,
      engine: engineDouble(seen, steps),
      artifacts: artifactsDouble(),
      checks: checksDouble(),
      observations: openObservations(context),
      feedback: openFeedbackIntake({ ...context, openId: openTestId }),
      sdks,
      flags,
      hooks: hooksDouble(),
      protocols,
      metrics: async () => ({ type: 'text/plain; version=0.0.4', text: 'understudy_up 1\n' }),
      log: {
        warn: (fields, event) => log.push({ level: 'warn', event, fields }),
        error: (fields, event) => log.push({ level: 'error', event, fields }),
      },
    },
  );
  const addToken: TestControl['addToken'] = async (name, scopes, expiresInMs) => {
    const input = { name, scopes, ...(expiresInMs === undefined ? {} : { expiresInMs }) };
    return (await createToken(context, { actor: 'setup' }, input)).secret;
  };
  const tokens = new Map<Scope, string>();
  for (const scope of SCOPES) tokens.set(scope, await addToken(`only-${scope}`, [scope]));
  return {
    api,
    context,
    clock,
    log,
    steps,
    tokenFor: (scope) => tokens.get(scope) ?? '',
    addToken,
    sdks,
    engineSays: (next) => Object.assign(seen, next),
    [Symbol.asyncDispose]: async () => {
      await api.close();
      flags.close();
      await store.close();
    },
  };
}

function movableClock(startMs: number): TestControl['clock'] {
  let atMs = startMs;
  return {
    nowMs: () => atMs,
    pass: (ms) => {
      atMs += ms;
    },
  };
}

/** Says what it is told to; the real engine has its own tests. */
function engineDouble(
  seen: { readonly judgement: Judgement; readonly live: Tally },
  steps: Parameters<EngineWindow['step']>[],
): EngineWindow {
  return {
    lookAt: async (rollout) => ({
      judgement: seen.judgement,
      arms: [{ arm: 'champion', version: rollout.champion, requests: 3, errors: 0, rescued: 0 }],
    }),
    watchOf: async () => undefined,
    shadowOf: async () => undefined,
    step: async (...call) => {
      steps.push(call);
    },
    liveTally: async () => seen.live,
    replay: async () => ({ outcome: 'replayed', decisions: [], isFaithful: true }),
    evidenceOf: async () => ({ arms: [{ arm: 'challenger', version: 'v2', step: 0, tally: viewOfTally(seen.live) }] }),
  };
}

/** Says that every message arrives; the real sender has its own tests. */
function hooksDouble(): HookDesk {
  return {
    problemOf: (url) => problemOfHookUrl(url, { ports: [7070, 7071], hosts: new Set() }),
    secretOf: ({ name }) => `whsec_${name}`,
    test: async () => ({ outcome: 'delivered', status: 204, tookMs: 3 }),
  };
}

/** Finds nothing, but for what a test writes into the address of a check; asking has tests of its own. */
function checksDouble(): CheckDesk {
  const addressProblemOf: CheckDesk['addressProblemOf'] = ({ source }) =>
    source.url.includes('169.254.') ? 'it is link-local' : undefined;
  return {
    addressProblemOf,
    rehearse: async (checks, { champion }) => ({
      refusals: checks
        .filter(({ source }) => source.auth !== undefined)
        .map(({ name }) => `the check "${name}" has no secret to send`),
      problems: checks
        .filter(({ source }) => source.url.includes('nobody'))
        .map(({ name }) => `the check "${name}" knows no ${champion}`),
    }),
  };
}

/** Knows two files, which predict the first feature, and NaN when that is negative; every upload has the size that came in. */
function artifactsDouble(): ArtifactIntake {
  const signatureOf = (dataType: DataType): Signature => ({
    inputs: [{ name: 'x', dataType: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'y', dataType, shape: [-1, 1] }],
    prediction: 'y',
  });
  const signature = signatureOf('FP32');
  const signatures = new Map([
    [ONNX_SHA256, signature],
    [CLASSIFIER_SHA256, signatureOf('INT64')],
  ]);
  return {
    async put(bytes) {
      let size = 0;
      for await (const chunk of bytes) size += chunk.length;
      if (size === 0) throw new AppError('artifact.empty', 'the file is empty');
      return { sha256: ONNX_SHA256, bytes: size, signature };
    },
    find: async (sha256) => {
      const known = signatures.get(sha256);
      return known === undefined ? undefined : { sha256, bytes: 10, signature: known };
    },
    predict: async (_sha256, rows) => rows.map(([first = 0]) => Math.sqrt(first) ** 2),
  };
}
