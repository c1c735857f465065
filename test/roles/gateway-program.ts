/** A gateway as a program of its own, for tests that kill it; its port and its folder stay over a start. */
import { join } from 'node:path';
import { until } from '../running-understudy.ts';
import { startServing } from '../serving-program.ts';
import type { SplitWorld } from './split-world.ts';

export interface GatewayProgram {
  readonly url: string;
  /** Its folder. */
  readonly data: string;
  /** From the start of the process until `/readyz` said so. */
  readonly readyAfterMs: number;
  /** Ends it without any warning. */
  readonly kill: () => Promise<void>;
}

/**
 * Starts `understudy serve --role gateway` and waits until it is ready.
 * @param port 0 for a free one
 */
export async function startGatewayProgram(world: SplitWorld, name: string, port = 0): Promise<GatewayProgram> {
  const data = join(world.folder, name);
  const settings = { ROLE: 'gateway', GATEWAY_NAME: name, DATA: data, GATEWAY_PORT: String(port), LOG_LEVEL: 'silent' };
  const control = { CONTROL_URL: world.controlUrl, CONTROL_TOKEN: world.gatewayToken, ALLOW_ANONYMOUS_PREDICT: 'true' };
  const beganMs = performance.now();
  const { gatewayUrl: url, kill } = await startServing({ settings: { ...settings, ...control } });
  await until(
    () => fetch(`${url}/readyz`).then(({ status }) => status),
    (status) => status === 200,
    'a gateway that is ready',
  );
  return { url, data, readyAfterMs: performance.now() - beganMs, kill };
}
