/** A real process's worth of Understudy on free ports and a temporary directory, with real models, for tests that span packages. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from '@understudy/contract/client';
import type { PlanFile } from '@understudy/contract/plan-file';
import { startUnderstudy, type Understudy } from '../packages/server/src/compose.ts';
import { readConfig } from '../packages/server/src/config.ts';
import { openLog } from '../packages/server/src/log.ts';

const MODELS = new URL('../examples/models/', import.meta.url);

/** Errors and predictions decide, never the speed of this machine. */
export const UNHURRIED = {
  kind: 'thresholds',
  ignoreLatencyBelowMs: 10_000,
  health: { p95LatencyMs: 10_000 },
} as const satisfies PlanFile['policy'];

/** Short holds. */
export const FAST_PLAN: PlanFile = {
  name: 'fast',
  steps: [
    { traffic: 25, hold: '0s', minSamples: 50 },
    { traffic: 50, hold: '0s', minSamples: 50 },
    { traffic: 100, hold: '0s', minSamples: 0 },
  ],
  policy: UNHURRIED,
  checkEvery: '200ms',
};

export interface Running {
  readonly admin: Client;
  readonly token: string;
  readonly gatewayUrl: string;
  readonly controlUrl: string;
  /** Stops and starts again on the same directory and ports. */
  restart(): Promise<void>;
  /** Stops: nobody answers until `start`. */
  stop(): Promise<void>;
  /** Starts again on the same directory and ports. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Held-out rows of an example model; `shifted` ones make v5 fail. */
export async function rowsOf(
  model: string,
  kind: 'requests' | 'requests-shifted' = 'requests',
): Promise<readonly (readonly number[])[]> {
  const { features }: { features: number[][] } = JSON.parse(await readFile(new URL(`${model}/${kind}.json`, MODELS), 'utf8'));
  return features;
}

/** Starts everything. */
export async function startForTest(): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), 'understudy-test-'));
  const open = (controlPort = 0, gatewayPort = 0): Promise<Understudy> => {
    const settings = { store: `sqlite:${directory}`, controlPort, gatewayPort, gatewayName: 'g1', drainGraceMs: 0 };
    return startUnderstudy(readConfig(settings, {}), {
      log: openLog('silent'),
      onFatal: (error) => {
        throw error;
      },
    });
  };
  let running = await open();
  const portOf = (url: string): number => Number(new URL(url).port);
  const stop = (): Promise<void> => running.drain();
  const start = async (): Promise<void> => {
    running = await open(portOf(running.controlUrl), portOf(running.gatewayUrl));
  };
  const token = running.adminToken;
  if (token === undefined) throw new Error('the first start showed no token');
  const admin: Client = (name, input) => createClient({ url: running.controlUrl, token })(name, input);
  return {
    admin,
    token,
    get gatewayUrl() {
      return running.gatewayUrl;
    },
    get controlUrl() {
      return running.controlUrl;
    },
    async restart() {
      await stop();
      await start();
    },
    stop,
    start,
    async close() {
      await running.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Registers an example version from its file, with its offline baseline. */
export async function registerExample(admin: Client, model: string, version: string): Promise<void> {
  const bytes = await readFile(new URL(`${model}/${version}.onnx`, MODELS));
  const { sha256 } = await admin('uploadArtifact', { body: new Uint8Array(bytes), query: { name: `${version}.onnx` } });
  const baseline: { predictions: number[] } = JSON.parse(
    await readFile(new URL(`${model}/${version}.baseline.json`, MODELS), 'utf8'),
  );
  await admin('registerVersion', { params: { model }, body: { version, artifact: sha256, baseline } });
}

/** Asks until the answer is what is waited for. */
export async function until<T>(ask: () => Promise<T>, isGood: (answer: T) => boolean, what: string): Promise<T> {
  const endMs = performance.now() + 40_000;
  for (;;) {
    const answer = await ask();
    if (isGood(answer)) return answer;
    if (performance.now() > endMs) throw new Error(`waited 40 s for ${what}; the last answer was ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** One answer of the gateway. */
export interface Answered {
  readonly status: number;
  readonly version: string | null;
  readonly arm: string | null;
  readonly reason: string | null;
  readonly requestId: string | null;
  readonly body: Record<string, unknown>;
}

/** Sends one request to the gateway. */
export async function send(
  { gatewayUrl, token }: Pick<Running, 'gatewayUrl' | 'token'>,
  path: string,
  request: { readonly body: unknown; readonly headers?: Readonly<Record<string, string>> },
): Promise<Answered> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...request.headers };
  const response = await fetch(gatewayUrl + path, { method: 'POST', headers, body: JSON.stringify(request.body) });
  const header = (name: string): string | null => response.headers.get(`x-understudy-${name}`);
  const body: Record<string, unknown> = JSON.parse(await response.text());
  return {
    status: response.status,
    version: header('version'),
    arm: header('arm'),
    reason: header('reason'),
    requestId: header('request-id'),
    body,
  };
}

/** Sends rows until told to stop, ten at a time, each from another user; returns what was answered. */
export function startTraffic(
  running: Running,
  model: string,
  rows: readonly (readonly number[])[],
): { stop(): Promise<readonly Answered[]> } {
  let isStopped = false;
  const answers: Answered[] = [];
  const pump = (async () => {
    for (let round = 0; !isStopped; round += 1) {
      const batch = Array.from({ length: 10 }, (_, index) => {
        const count = round * 10 + index;
        return send(running, `/predict/${model}`, {
          body: { features: rows[count % rows.length] },
          headers: { 'x-user-id': `user-${count % 997}` },
        });
      });
      answers.push(...(await Promise.all(batch)));
    }
  })();
  return {
    async stop() {
      isStopped = true;
      await pump;
      return answers;
    },
  };
}
