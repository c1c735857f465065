/** Gateways as last heard of, and whether they can answer with a version. Views of gateways, versions and rollouts are made with it. */
import type { Readiness } from '@understudy/contract/report';
import type { GatewayView } from '@understudy/contract/views';
import { isConnected, type VersionName } from '../commands/readiness.ts';
import type { GatewayStatus } from '../storage/store.ts';

export function gatewayView(status: GatewayStatus, atMs: number): GatewayView {
  const { readiness, ...rest } = status;
  return { ...rest, readiness: [...readiness], isConnected: isConnected(status, atMs) };
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
