/** Whether the gateways can answer with a version: the condition for giving it traffic. */
import type { GatewayStatus } from '../storage/store.ts';

/** A gateway that has been silent for longer does not count: it reports every second. */
export const CONNECTED_WITHIN_MS = 10_000;

/**
 * Why a version may not get traffic yet.
 * @returns undefined when every connected gateway has it loaded, warmed up and probed
 */
export function notReadyBecause(
  gateways: readonly GatewayStatus[],
  wanted: { readonly model: string; readonly version: string; readonly atMs: number },
): string | undefined {
  const connected = gateways.filter((gateway) => wanted.atMs - gateway.seenAtMs <= CONNECTED_WITHIN_MS);
  if (connected.length === 0) return 'no gateway has reported within the last 10 s';
  for (const gateway of connected) {
    const found = gateway.readiness.find((one) => one.model === wanted.model && one.version === wanted.version);
    if (found === undefined) return `gateway "${gateway.gateway}" has not heard of ${wanted.version} yet`;
    if (found.state !== 'ready') return `${wanted.version} is ${found.state} on gateway "${gateway.gateway}" (${found.detail})`;
  }
  return undefined;
}
