/** A server in a process of its own, on ports that stay the same when it is killed and started again. Tests of the SDK depend on it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, createClient } from '@understudy/contract/client';
import { freePort } from '../../packages/server/src/free-port.contract.ts';

const MAIN = fileURLToPath(new URL('../../packages/server/src/main.ts', import.meta.url));

export interface Served {
  readonly url: string;
  readonly gatewayUrl: string;
  /** The admin's. */
  readonly token: string;
  readonly admin: Client;
  /** Ends the process without asking it. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and data. Ready when it resolves. */
  start(): Promise<void>;
  /** A key with these scopes. */
  keyFor(...scopes: readonly Scope[]): Promise<string>;
  close(): Promise<void>;
}

type Scope = 'flags' | 'flags-client' | 'feedback' | 'predict' | 'read';

export async function openServed(): Promise<Served> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-sdk-'));
  const [control, gateway] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${control}`;
  let running: ChildProcess | undefined;
  const start = async (): Promise<string> => {
    const args = ['serve', '--store', `sqlite:${folder}/data`, '--control-port', `${control}`, '--gateway-port', `${gateway}`];
    running = spawn(process.execPath, [MAIN, ...args, '--log-level', 'warn', '--drain-grace-ms', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return await ready(running, url);
  };
  const kill = async (): Promise<void> => {
    const ended = running;
    running = undefined;
    if (ended === undefined || ended.exitCode !== null) return;
    const gone = once(ended, 'exit');
    ended.kill('SIGKILL');
    await gone;
  };
  const printed = await start();
  const token = /us_[\w-]+/.exec(printed)?.[0];
  if (token === undefined) throw new Error(`the first start showed no token: ${printed}`);
  const admin = createClient({ url, token });
  return {
    url,
    gatewayUrl: `http://127.0.0.1:${gateway}`,
    token,
    admin,
    kill,
    start: async () => void (await start()),
    keyFor: async (...scopes) => (await admin('createToken', { body: { name: scopes.join('-'), scopes: [...scopes] } })).secret,
    async close() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @returns what it has printed */
async function ready(started: ChildProcess, url: string): Promise<string> {
  let text = '';
  started.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  for (let tries = 0; tries < 600; tries += 1) {
    if (started.exitCode !== null) throw new Error(`the server ended with ${started.exitCode}: ${text}`);
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok === true) return text;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the server was not ready within 30 s: ${text}`);
}
