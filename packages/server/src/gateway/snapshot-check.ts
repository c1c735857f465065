/** Whether a snapshot may take the place of the present one. A refused one changes nothing: old and right beats new and broken. */
import type { Snapshot, SnapshotModel } from '@understudy/core/snapshot';
import { BUCKET_COUNT } from '@understudy/core/bucketing';
import { MAX_BINS } from '@understudy/core/prediction-bins';

/** Why a snapshot is refused; undefined when it fits. */
export function refusalOf(present: Snapshot | undefined, next: Snapshot): string | undefined {
  // A snapshot may come from a newer control plane, whatever the type says.
  const schema: number = next.schema;
  if (schema !== 1) return `snapshot ${next.revision} has schema ${schema}, this gateway reads schema 1: update the gateway`;
  if (!Number.isSafeInteger(next.revision) || next.revision < 0) return `${next.revision} is no revision`;
  if (present !== undefined && next.environment !== present.environment) {
    return `snapshot ${next.revision} is of environment "${next.environment}", this gateway serves "${present.environment}"`;
  }
  if (present !== undefined && next.revision < present.revision) {
    return `snapshot ${next.revision} is older than ${present.revision}, which is in use`;
  }
  const names = new Set<string>();
  for (const model of next.models) {
    if (names.has(model.name)) return `snapshot ${next.revision} has model "${model.name}" twice`;
    names.add(model.name);
    const problem = problemOf(model);
    if (problem !== undefined) return `snapshot ${next.revision}: model "${model.name}" ${problem}`;
  }
  return undefined;
}

function problemOf({ champion, rollout, shadow, versions, routing, binEdges }: SnapshotModel): string | undefined {
  const has = (wanted: string): boolean => versions.some(({ version }) => version === wanted);
  if (champion !== undefined && !has(champion)) return `has champion "${champion}" but not that version`;
  if (!(routing.deadlineMs > 0)) return `has a deadline of ${routing.deadlineMs} ms`;
  if (binEdges !== undefined && !canCountBetween(binEdges)) {
    return `has ${binEdges.length} bin edges, which must be 1 to ${MAX_BINS - 1} rising numbers`;
  }
  if (shadow !== undefined && !has(shadow.version)) return `has shadow "${shadow.version}" but not that version`;
  if (shadow !== undefined && !isBoundary(shadow.boundary)) return `has a shadow with the boundary ${shadow.boundary}`;
  if (rollout === undefined) return undefined;
  if (!has(rollout.challenger)) return `has challenger "${rollout.challenger}" but not that version`;
  const { boundary } = rollout;
  return isBoundary(boundary) ? undefined : `has a boundary of ${boundary}, outside 0 to ${BUCKET_COUNT}`;
}

function isBoundary(boundary: number): boolean {
  return boundary >= 0 && boundary <= BUCKET_COUNT;
}

function canCountBetween(edges: readonly number[]): boolean {
  const isRising = edges.every((edge, index) => edge > (edges[index - 1] ?? -Infinity));
  return isRising && edges.length > 0 && edges.length < MAX_BINS;
}
