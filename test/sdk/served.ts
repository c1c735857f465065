/** A server in a process of its own, on ports that stay the same when it is killed and started again. Tests of the SDK depend on it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from '@understudy/contract/client';
import { freePort } from '../../packages/server/src/free-port.contract.ts';
import { until } from '../running-understudy.ts';
import { startServing } from '../serving-program.ts';

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
  const ports = { CONTROL_PORT: `${await freePort()}`, GATEWAY_PORT: `${await freePort()}` };
  const start = async (): ReturnType<typeof startServing> => {
    const program = await startServing({ settings: { STORE: `sqlite:${folder}/data`, ...ports } });
    await until(
      () => fetch(`${program.controlUrl}/readyz`),
      ({ ok }) => ok,
      'a server that is ready',
    );
    return program;
  };
  let running = await start();
  const { controlUrl: url, gatewayUrl } = running;
  const token = running.firstToken();
  const admin = createClient({ url, token });
  return {
    url,
    gatewayUrl,
    token,
    admin,
    kill: () => running.kill(),
    async start() {
      running = await start();
    },
    keyFor: async (...scopes) => (await admin('createToken', { body: { name: scopes.join('-'), scopes: [...scopes] } })).secret,
    async close() {
      await running.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
