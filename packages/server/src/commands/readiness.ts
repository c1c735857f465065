/** Whether the gateways can answer with a version: the condition for giving it traffic. Engine and views ask it. */
import { isLoadable, type VersionSource } from '@understudy/core/model-version';
import type { GatewayStatus } from '../storage/store.ts';

// A gateway reports once a second; ten missed reports are more than a slow network.
const CONNECTED_WITHIN_MS = 10_000;

/** One version of one model. */
export interface VersionName {
  readonly model: string;
  readonly version: string;
}

/** A gateway that has been silent for ten seconds does not count. */
export function isConnected({ seenAtMs }: GatewayStatus, atMs: number): boolean {
  return atMs - seenAtMs <= CONNECTED_WITHIN_MS;
}

/** A version, and what it is made of as far as that is known. */
export interface WantedVersion extends VersionName {
  readonly source?: VersionSource | undefined;
}

/**
 * Why a version may not get traffic yet.
 * @returns undefined when every connected gateway has it loaded, warmed up and probed, or when gateways do not serve it
 */
export function notReadyBecause(gateways: readonly GatewayStatus[], wanted: WantedVersion, atMs: number): string | undefined {
  if (wanted.source !== undefined && !isLoadable(wanted.source)) return undefined;
  const connected = gateways.filter((gateway) => isConnected(gateway, atMs));
  if (connected.length === 0) return 'no gateway has reported within the last 10 s';
  for (const gateway of connected) {
    const found = gateway.readiness.find((one) => one.model === wanted.model && one.version === wanted.version);
    if (found === undefined) return `gateway "${gateway.gateway}" has not heard of ${wanted.version} yet`;
    if (found.state !== 'ready') return `${wanted.version} is ${found.state} on gateway "${gateway.gateway}" (${found.detail})`;
  }
  return undefined;
}
