// Starts our own server for a contest: the only file of the benchmarks that knows its command line and its API.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@understudy/contract/client';
import { cacheFolder, REPOSITORY_FOLDER } from './harness/folders.ts';
import { type RunningProcess, startProcess } from './harness/running-process.ts';
import { freePort, waitForPort } from './harness/tcp-port.ts';

const POLL_MS = 100;

/** What answers for a version: a model file run in process, or an HTTP server such as `http://127.0.0.1:8000`. */
export type UnderstudyArm = { readonly kind: 'onnx'; readonly file: string } | { readonly kind: 'http'; readonly origin: string };

/** Settings of the process that a measure needs otherwise. */
export interface UnderstudySettings {
  readonly drainGraceMs?: number;
  readonly maxInFlight?: number;
  /** Requests without a token may predict. */
  readonly isAnonymous?: boolean;
}

export interface UnderstudyModel {
  readonly name: string;
  readonly champion: UnderstudyArm;
  readonly challenger: UnderstudyArm;
  /** Share of subjects on the challenger, in [0, 100]; the subject is the header `x-user-id`. */
  readonly challengerPercent: number;
}

export interface RunningUnderstudy {
  /** Takes `POST {"features": […]}` for the first model. */
  readonly predictUrl: string;
  /** A token that may predict, sent as `Authorization: Bearer`. */
  readonly token: string;
  readonly pid: number;
  /** Of the gateway; models are at `/predict/NAME`. */
  readonly gatewayOrigin: string;
  readonly admin: Client;
  /** Ends the process as a supervisor would and starts it again on the same ports and data. */
  readonly restart: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface UnderstudyRequest {
  readonly models: readonly [UnderstudyModel, ...UnderstudyModel[]];
  /** Left out: the process may run on any core. */
  readonly core?: number;
  readonly settings?: UnderstudySettings;
}

export async function startUnderstudy({ models, core, settings = {} }: UnderstudyRequest): Promise<RunningUnderstudy> {
  const [controlPort, gatewayPort] = [await freePort(), await freePort()];
  const dataFolder = await mkdtemp(join(await cacheFolder('understudy'), 'data-'));
  const main = join(REPOSITORY_FOLDER, 'packages/server/src/main.ts');
  const ports = ['--control-port', String(controlPort), '--gateway-port', String(gatewayPort)];
  const grace = settings.drainGraceMs === undefined ? [] : ['--drain-grace-ms', String(settings.drainGraceMs)];
  const anonymous = settings.isAnonymous === true ? ['--allow-anonymous-predict'] : [];
  const limit = settings.maxInFlight === undefined ? [] : ['--max-in-flight', String(settings.maxInFlight)];
  const args = [
    main,
    'serve',
    '--store',
    `sqlite:${dataFolder}`,
    ...ports,
    ...grace,
    ...limit,
    ...anonymous,
    '--log-level',
    'warn',
  ];
  const pinned = core === undefined ? {} : { core };
  const start = (): Promise<RunningProcess> => startProcess({ name: 'understudy', command: process.execPath, args, ...pinned });
  let server = await start();
  const restart = async (): Promise<void> => {
    await server.stop();
    server = await start();
    await waitForPort(gatewayPort, server);
  };
  const stop = async (): Promise<void> => {
    await server.stop();
    await rm(dataFolder, { recursive: true, force: true });
  };
  try {
    await waitForPort(controlPort, server);
    const admin = createClient({ url: `http://127.0.0.1:${controlPort}`, token: await firstTokenOf(server) });
    for (const model of models) await configure(admin, model);
    const { secret } = await admin('createToken', { body: { name: 'load', scopes: ['predict'] } });
    const gatewayOrigin = `http://127.0.0.1:${gatewayPort}`;
    const predictUrl = `${gatewayOrigin}/predict/${models[0].name}`;
    return { predictUrl, gatewayOrigin, token: secret, pid: server.pid, admin, restart, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The label in the answer to one sample; `undefined` when the answer has none. */
export function predictedLabelOf(answer: unknown): number | undefined {
  const label = typeof answer === 'object' && answer !== null && 'prediction' in answer ? answer.prediction : undefined;
  return typeof label === 'number' ? label : undefined;
}

/** The admin token that the first start shows once. */
export async function firstTokenOf(server: RunningProcess): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const [token] = /us_[\w-]+/.exec(server.output()) ?? [];
    if (token !== undefined) return token;
    await sleep(POLL_MS);
  }
  throw new Error(`understudy showed no token: ${server.output()}`);
}

/** Registers both arms, starts a roll-out that stays on its first step, and waits until the challenger is in. */
async function configure(admin: Client, model: UnderstudyModel): Promise<void> {
  await admin('createModel', { body: { name: model.name } });
  await register(admin, model.name, { version: 'v1', arm: model.champion });
  await register(admin, model.name, { version: 'v2', arm: model.challenger });
  await admin('promoteVersion', { params: { model: model.name, version: 'v1' }, body: { reason: 'benchmark' } });
  const steps = [
    { traffic: model.challengerPercent, hold: '24h', minSamples: 50 },
    { traffic: 100, hold: '0s', minSamples: 0 },
  ];
  // Both arms are the same: whatever the guards see is noise, and must not end the benchmark.
  const policy = { kind: 'thresholds', p50Ratio: 1000, p99Ratio: 1000 } as const;
  const plan = { name: 'benchmark', steps, policy };
  const started = await admin('startRollout', { body: { model: model.name, challenger: 'v2', plan } });
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const { rollout } = await admin('getRollout', { params: { rollout: started.rollout.id } });
    if (rollout.state.phase === 'stepping') return;
    await sleep(POLL_MS);
  }
  throw new Error(`the challenger of "${model.name}" did not become ready`);
}

async function register(admin: Client, model: string, { version, arm }: { version: string; arm: UnderstudyArm }): Promise<void> {
  const params = { model };
  if (arm.kind === 'http') {
    const upstream = { url: arm.origin, protocol: 'predict', remoteModel: model } as const;
    await admin('registerVersion', { params, body: { version, upstream } });
    return;
  }
  const { sha256 } = await admin('uploadArtifact', { body: new Uint8Array(await readFile(arm.file)) });
  await admin('registerVersion', { params, body: { version, artifact: sha256 } });
}
