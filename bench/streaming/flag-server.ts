// Our server with an environment of flags, as one process that can be restarted in place. The rows on streaming depend on it.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@understudy/contract/client';
import type { Flag } from '@understudy/core/flags/flag';
import { cpuMicrosOf } from '../harness/cpu-time.ts';
import { cacheFolder, REPOSITORY_FOLDER } from '../harness/folders.ts';
import { type RunningProcess, SERVER_CORE, startProcess } from '../harness/running-process.ts';
import { freePort, waitForPort } from '../harness/tcp-port.ts';
import { firstTokenOf } from '../understudy-server.ts';
import { ON_VARIANT, PINNED_USER } from './family-clients.ts';
import type { ClientsRequest } from './messages.ts';

// As many flags as a team has, so that answers have the size of real ones.
const FLAGS = 20;

// On SIGUSR2 the process collects its garbage and says what is left. Otherwise it is the server that everybody runs.
const TELL =
  "const { heapUsed, external } = (gc(), process.memoryUsage()); console.error('live bytes: ' + (heapUsed + external) + ';')";
const MEASURED = ['--expose-gc', '--import', `data:text/javascript,process.on('SIGUSR2', () => { ${TELL} })`];

export interface FlagServer extends Pick<ClientsRequest, 'origin' | 'flag' | 'keys'> {
  readonly admin: Client;
  /** Ends the process and starts it again on the same port and data; resolves when it listens. */
  restart(): Promise<void>;
  /** User and system time since the process was started. */
  cpuMs(): Promise<number>;
  residentMegabytes(): Promise<number>;
  /** What is still in use after a garbage collection, buffers included. */
  liveMegabytes(): Promise<number>;
  stop(): Promise<void>;
}

export async function startFlagServer(): Promise<FlagServer> {
  const [controlPort, gatewayPort] = [await freePort(), await freePort()];
  const folder = await mkdtemp(join(await cacheFolder('understudy'), 'streaming-'));
  const start = async (): Promise<RunningProcess> => {
    const main = join(REPOSITORY_FOLDER, 'packages/server/src/main.ts');
    const ports = ['--control-port', String(controlPort), '--gateway-port', String(gatewayPort), '--drain-grace-ms', '0'];
    const args = [...MEASURED, main, 'serve', '--store', `sqlite:${folder}`, ...ports, '--log-level', 'warn'];
    const started = await startProcess({ name: 'understudy', command: process.execPath, args, core: SERVER_CORE });
    await waitForPort(controlPort, started);
    return started;
  };
  let server = await start();
  const origin = `http://127.0.0.1:${controlPort}`;
  const admin = createClient({ url: origin, token: await firstTokenOf(server) });
  const keyFor = async (sdk: 'unleash' | 'launchdarkly' | 'flagsmith' | 'openfeature'): Promise<string> =>
    (await admin('createToken', { body: { name: sdk, scopes: ['flags'], sdk } })).secret;
  for (let number = 0; number < FLAGS; number += 1) {
    const flag = flagOf(`flag-${number}`);
    await admin('saveFlag', { params: { flag: flag.key }, body: { flag, revision: 0, reason: 'benchmark' } });
  }
  return {
    origin,
    admin,
    flag: 'flag-7',
    keys: {
      unleash: await keyFor('unleash'),
      launchdarkly: await keyFor('launchdarkly'),
      flagsmith: await keyFor('flagsmith'),
      ofrep: await keyFor('openfeature'),
    },
    async restart() {
      await server.stop();
      server = await start();
    },
    cpuMs: async () => (await cpuMicrosOf([server.pid])) / 1000,
    residentMegabytes: () => residentMegabytesOf(server.pid),
    liveMegabytes: () => liveMegabytesOf(server),
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function flagOf(key: string): Flag {
  const slices = [
    { variant: ON_VARIANT, weight: 10_000 },
    { variant: 'v1', weight: 90_000 },
  ];
  return {
    key,
    type: 'string',
    on: true,
    offVariant: 'v1',
    variants: [ON_VARIANT, 'v1'].map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [{ variant: ON_VARIANT, keys: [PINNED_USER] }],
    rules: [],
    fallthrough: { split: { slices } },
    bucketing: { profile: 'unleash', salt: key },
  };
}

async function residentMegabytesOf(pid: number): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  if (kilobytes === undefined) throw new Error(`process ${pid} says nothing of its memory`);
  return Number(kilobytes) / 1024;
}

async function liveMegabytesOf(server: RunningProcess): Promise<number> {
  const told = (): readonly RegExpMatchArray[] => [...server.output().matchAll(/live bytes: (\d+);/g)];
  const before = told().length;
  process.kill(server.pid, 'SIGUSR2');
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const bytes = told()[before]?.[1];
    if (bytes !== undefined) return Number(bytes) / 1024 ** 2;
    await sleep(50);
  }
  throw new Error(`the server did not say what memory it uses: ${server.output()}`);
}
