/** A control API over an empty store in memory, with a token for each scope. Only tests depend on it. */
import { AppError } from '@understudy/core/errors';
import type { Judgement } from '@understudy/core/policy';
import { type Scope, SCOPES } from '@understudy/core/token';
import type { Clock } from '../clock.ts';
import type { CommandContext } from '../commands/command.ts';
import { createToken } from '../commands/tokens.ts';
import { openSqliteStore } from '../storage/sqlite-store.ts';
import { type ControlApi, type ControlOptions, openControlApi } from './app.ts';
import type { ArtifactIntake, EngineWindow } from './ports.ts';

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
  /** What the engine says from now on. */
  engineSays(seen: { readonly judgement?: Judgement; readonly live?: readonly number[] }): void;
}

export const ONNX_SHA256: string = 'a'.repeat(64);

export const NO_DATA: Judgement = { verdict: 'no-data', reason: 'not enough data: 0 of 50 requests', guards: [] };

export async function openTestControl(options: Partial<ControlOptions> = {}): Promise<TestControl> {
  const store = await openSqliteStore(':memory:');
  const clock = movableClock(Date.UTC(2026, 10, 21));
  const context: CommandContext = { store, environment: 'production', clock };
  const log: LogLine[] = [];
  const steps: Parameters<EngineWindow['step']>[] = [];
  const seen: { judgement: Judgement; live: readonly number[] } = { judgement: NO_DATA, live: [] };
  const api = await openControlApi(
    { environment: 'production', release: '1.2.3', ownPorts: [7070, 7071], ...options },
    {
      store,
      clock,
      engine: engineDouble(seen, steps),
      artifacts: artifactsDouble(),
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
    engineSays: (next) => Object.assign(seen, next),
    [Symbol.asyncDispose]: async () => {
      await api.close();
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
  seen: { readonly judgement: Judgement; readonly live: readonly number[] },
  steps: Parameters<EngineWindow['step']>[],
): EngineWindow {
  return {
    lookAt: async (rollout) => ({
      judgement: seen.judgement,
      arms: [{ arm: 'champion', version: rollout.champion, requests: 3, errors: 0, rescued: 0 }],
    }),
    watchOf: async () => undefined,
    step: async (...call) => {
      steps.push(call);
    },
    livePredictions: async () => ({
      count: seen.live.length,
      sum: seen.live.reduce((sum, value) => sum + value, 0),
      sumSquares: seen.live.reduce((sum, value) => sum + value * value, 0),
    }),
  };
}

/** Knows one file, which predicts the first feature, and NaN when that is negative; every upload has the size that came in. */
function artifactsDouble(): ArtifactIntake {
  const signature = {
    inputs: [{ name: 'x', dataType: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'y', dataType: 'FP32', shape: [-1, 1] }],
    prediction: 'y',
  } as const;
  return {
    async put(bytes) {
      let size = 0;
      for await (const chunk of bytes) size += chunk.length;
      if (size === 0) throw new AppError('artifact.empty', 'the file is empty');
      return { sha256: ONNX_SHA256, bytes: size, signature };
    },
    find: async (sha256) => (sha256 === ONNX_SHA256 ? { sha256, bytes: 10, signature } : undefined),
    predict: async (_sha256, rows) => rows.map(([first = 0]) => Math.sqrt(first) ** 2),
  };
}
