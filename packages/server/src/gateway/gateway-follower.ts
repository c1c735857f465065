/** What this gateway does with each snapshot that comes, wherever from. `gateway.ts` subscribes it. */
import type { Snapshot } from '@understudy/core/snapshot';
import { withLocalKills } from '@understudy/core/local-kill';
import type { SnapshotFollower, SnapshotOrigin } from '@understudy/core/snapshot-follower';
import type { Authentication } from '../authentication.ts';
import type { Clock } from '../clock.ts';
import type { GatewayCounts } from './gateway-counts.ts';
import type { GatewayPorts } from './gateway-ports.ts';
import type { Lease } from './lease.ts';
import type { RequestIds } from './request-id.ts';
import type { RoutingTable } from './routing-table.ts';

/** How up to date the snapshot in use is. */
export interface SnapshotStanding {
  /** When a control plane last said that it is the present one; undefined before the first snapshot. */
  heardAtMs: number | undefined;
  origin: SnapshotOrigin;
  /** The newest refusal since a snapshot was taken. */
  refused: { readonly reason: string; readonly atMs: number } | undefined;
}

interface FollowerParts extends Pick<GatewayPorts, 'log' | 'localSwitch'> {
  readonly table: RoutingTable;
  readonly standing: SnapshotStanding;
  readonly lease: Lease;
  readonly ids: RequestIds;
  readonly authentication: Authentication;
  readonly counts: GatewayCounts;
  readonly clock: Clock;
  /** Something that the control plane should hear of now. */
  readonly onNews: () => void;
}

export function openGatewayFollower(parts: FollowerParts): SnapshotFollower {
  const { table, standing, lease, ids, authentication, counts, clock, log, localSwitch, onNews } = parts;
  let present: Snapshot | undefined;
  const refuse = (reason: string): void => {
    counts.refusedSnapshots++;
    const isNews = standing.refused?.reason !== reason;
    standing.refused = { reason: reason.slice(0, 2000), atMs: clock.nowMs() };
    if (!isNews) return;
    log('gateway.snapshot_refused', { reason });
    onNews();
  };
  const apply = (snapshot: Snapshot): string | undefined => table.apply(withLocalKills(snapshot, localSwitch?.kills() ?? []));
  localSwitch?.onChange(() => {
    if (present !== undefined) apply(present);
    onNews();
  });
  return {
    take(snapshot, facts) {
      const isFirst = present === undefined;
      const refusal = apply(snapshot);
      if (refusal !== undefined) {
        refuse(refusal);
        return refusal;
      }
      if (facts !== undefined) ids.use(facts.requestIdKey);
      present = snapshot;
      standing.refused = undefined;
      standing.origin = facts?.origin ?? 'control-plane';
      standing.heardAtMs = facts?.asOfMs ?? clock.nowMs();
      if (standing.origin === 'control-plane') lease.heard(clock.nowMs());
      authentication.use(snapshot.tokens);
      if (isFirst) onNews();
      return undefined;
    },
    present(revision) {
      if (revision !== table.revision) return;
      standing.origin = 'control-plane';
      standing.heardAtMs = clock.nowMs();
      lease.heard(clock.nowMs());
    },
    refuse,
  };
}
