/** A gateway as a program of its own, for tests that kill it; its port and its folder stay over a start. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHILD_ENVIRONMENT } from '../../packages/server/src/storage/crash/child-environment.contract.ts';
import { until } from '../running-understudy.ts';
import type { SplitWorld } from './split-world.ts';

export interface GatewayProgram {
  readonly url: string;
  /** Its folder. */
  readonly data: string;
  /** From the start of the process until `/readyz` said so. */
  readonly readyAfterMs: number;
  /** Ends it without any warning. */
  kill(): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL('../../packages/server/bin/understudy.js', import.meta.url));

/**
 * Starts `understudy serve --role gateway` and waits until it is ready.
 * @param port 0 for a free one
 */
export async function startGatewayProgram(world: SplitWorld, name: string, port = 0): Promise<GatewayProgram> {
  const data = join(world.folder, name);
  const settings = { ROLE: 'gateway', GATEWAY_NAME: name, DATA: data, GATEWAY_PORT: String(port), LOG_LEVEL: 'silent' };
  const control = { CONTROL_URL: world.controlUrl, CONTROL_TOKEN: world.gatewayToken, ALLOW_ANONYMOUS_PREDICT: 'true' };
  const named = Object.entries({ ...settings, ...control }).map(([key, value]) => [`UNDERSTUDY_${key}`, value] as const);
  const env = { ...CHILD_ENVIRONMENT, ...Object.fromEntries(named) };
  const beganMs = performance.now();
  const child = spawn(process.execPath, [PROGRAM, 'serve'], { stdio: ['ignore', 'pipe', 'inherit'], env });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'close').finally(() => process.removeListener('exit', kill));
  const greeted = new Promise<string>((resolve) => {
    child.stdout.setEncoding('utf8').once('data', resolve);
  });
  const greeting = await Promise.race([greeted, ended.then(() => '')]);
  const url = /^gateway +(\S+)\n/.exec(greeting)?.[1];
  if (url === undefined) throw new Error(`the gateway does not start: ${greeting}`);
  await until(
    () => fetch(`${url}/readyz`).then(({ status }) => status),
    (status) => status === 200,
    'a gateway that is ready',
  );
  const readyAfterMs = performance.now() - beganMs;
  return {
    url,
    data,
    readyAfterMs,
    async kill() {
      kill();
      await ended;
    },
  };
}
