// A control plane as one process on one core, for the rows of the suite `scale`.
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, createClient } from '@understudy/contract/client';
import { cpuMicrosOf } from '../harness/cpu-time.ts';
import { cacheFolder, REPOSITORY_FOLDER } from '../harness/folders.ts';
import { type RunningProcess, SERVER_CORE, startProcess } from '../harness/running-process.ts';
import { freePort, waitForPort } from '../harness/tcp-port.ts';
import { firstTokenOf } from '../understudy-server.ts';

export interface BenchControlPlane {
  readonly origin: string;
  readonly admin: Client;
  /** Of the scope `gateway`, for gateways called `g-1`, `g-2` and so on. */
  readonly gatewayToken: string;
  readonly models: readonly string[];
  restart(): Promise<void>;
  /** User and system time since the process was started. */
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

/** @param models how many, each with a rollout that stays on its first step */
export async function startControlPlaneWith(models: number): Promise<BenchControlPlane> {
  const port = await freePort();
  const folder = await mkdtemp(join(await cacheFolder('understudy'), 'scale-'));
  const main = join(REPOSITORY_FOLDER, 'packages/server/src/main.ts');
  const settings = ['--role', 'control', '--store', `sqlite:${folder}`, '--control-port', String(port), '--log-level', 'warn'];
  const start = async (): Promise<RunningProcess> => {
    const started = await startProcess({
      name: 'control plane',
      command: process.execPath,
      args: [main, 'serve', ...settings],
      core: SERVER_CORE,
    });
    await waitForPort(port, started);
    return started;
  };
  let server = await start();
  const origin = `http://127.0.0.1:${port}`;
  const admin = createClient({ url: origin, token: await firstTokenOf(server) });
  const names = Array.from({ length: models }, (_, index) => `model-${index}`);
  for (const model of names) await openModel(admin, model);
  const { secret } = await admin('createToken', { body: { name: 'g', scopes: ['gateway'] } });
  return {
    origin,
    admin,
    gatewayToken: secret,
    models: names,
    async restart() {
      await server.stop();
      server = await start();
    },
    cpuMs: async () => (await cpuMicrosOf([server.pid])) / 1000,
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function openModel(admin: Client, model: string): Promise<void> {
  await admin('createModel', { body: { name: model } });
  for (const version of ['v1', 'v2']) {
    // Nobody is asked for a prediction; gateways would not wait for it either.
    const upstream = { url: 'http://127.0.0.1:9', protocol: 'predict', remoteModel: model } as const;
    await admin('registerVersion', { params: { model }, body: { version, upstream } });
  }
  await admin('promoteVersion', { params: { model, version: 'v1' }, body: { reason: 'benchmark' } });
  const plan = { name: 'stay', steps: [{ traffic: 10, hold: '24h' }, { traffic: 100 }] };
  await admin('startRollout', { body: { model, challenger: 'v2', plan } });
}
