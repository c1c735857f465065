/** Gateways as last heard of, and whether they can answer with a version. Views of gateways, versions and rollouts are made with it. */
import type { Readiness } from '@understudy/contract/report';
import type { GatewayView } from '@understudy/contract/views';
import type { GatewayStatus } from '../storage/store.ts';

// A gateway reports once a second; ten missed reports are more than a slow network.
const CONNECTED_WITHIN_MS = 10_000;

export function gatewayView(status: GatewayStatus, atMs: number): GatewayView {
  const { gateway, boot, revision, seenAtMs, readiness } = status;
  return { gateway, boot, revision, seenAtMs, readiness: [...readiness], isConnected: isConnected(status, atMs) };
}

/** One version of one model. */
export interface VersionName {
  readonly model: string;
  readonly version: string;
}

/** What each connected gateway says about a version, by gateway; one that has not heard of it is left out. */
export function readinessOf(gateways: readonly GatewayStatus[], wanted: VersionName, atMs: number): Record<string, Readiness> {
  const connected = gateways.filter((gateway) => isConnected(gateway, atMs));
  return Object.fromEntries(
    connected.flatMap((gateway) =>
      gateway.readiness
        .filter((one) => one.model === wanted.model && one.version === wanted.version)
        .map((one) => [gateway.gateway, one]),
    ),
  );
}

/** Why a version may not get traffic yet; undefined when every connected gateway has it ready. */
export function notReadyBecause(gateways: readonly GatewayStatus[], wanted: VersionName, atMs: number): string | undefined {
  const connected = gateways.filter((gateway) => isConnected(gateway, atMs)).map(({ gateway }) => gateway);
  if (connected.length === 0) return 'no gateway has reported within the last 10 s';
  const readiness = new Map(Object.entries(readinessOf(gateways, wanted, atMs)));
  for (const gateway of connected) {
    const found = readiness.get(gateway);
    if (found === undefined) return `gateway "${gateway}" has not heard of ${wanted.version} yet`;
    if (found.state !== 'ready') return `${wanted.version} is ${found.state} on gateway "${gateway}" (${found.detail})`;
  }
  return undefined;
}

function isConnected({ seenAtMs }: GatewayStatus, atMs: number): boolean {
  return atMs - seenAtMs <= CONNECTED_WITHIN_MS;
}
