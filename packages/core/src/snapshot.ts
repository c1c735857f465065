/** Everything a gateway needs to decide, compiled at one revision. The gateway and the SDK live on it; nothing of the store is behind it. */
import { boundaryOf } from './bucketing.ts';
import type { GoldenSet } from './golden.ts';
import { type Comparison, DEFAULT_COMPARISON, type Model, type Routing } from './model.ts';
import { isLoadable, type LoadableSource, type ModelVersion } from './model-version.ts';
import type { PairLine } from './pairs.ts';
import type { PredictionBins } from './prediction-bins.ts';
import { DEFAULT_LEASE_MS } from './plan.ts';
import { boundaryOfRollout, isLive, type Rollout, safeBoundaryOfRollout, shadowStepOf, stepOf } from './rollout.ts';
import { DEFAULT_SEQUENTIAL } from './sequential/config.ts';
import { pairLinesOf } from './sequential/paired-guard.ts';
import { standbysOf } from './standby.ts';
import type { RoutingRule } from './targeting.ts';
import type { Token } from './token.ts';

/** A version that gateways keep loaded. */
export interface SnapshotVersion {
  readonly version: string;
  readonly source: LoadableSource;
}

/** The challenger's place: subjects whose bucket is below the boundary. */
export interface SnapshotRollout {
  readonly id: string;
  readonly challenger: string;
  readonly step: number;
  readonly boundary: number;
  readonly salt: string;
  /** Absent in snapshots of control planes that do not lend the share. */
  readonly lease?: SnapshotLease;
}

/** A gateway may use the boundary as long as it hears from the control plane; the share above `boundary` here is lent. */
export interface SnapshotLease {
  /** Blind for longer than this, it goes back to the safe boundary. */
  readonly ms: number;
  /** Subjects below it stay on the challenger; never above the rollout's own boundary. */
  readonly boundary: number;
}

/** A version that gets copies of requests: by a rollout that stands on a step of shadow, or by a standing setting. */
export interface SnapshotShadow {
  readonly version: string;
  /** Requests of subjects whose bucket is below are copied. */
  readonly boundary: number;
  readonly salt: string;
  /** Before the boundary: `challenger` is copied, `champion` is not. */
  readonly rules: readonly RoutingRule[];
  /** Absent for a standing setting. */
  readonly rollout?: string;
  readonly step?: number;
  /** The lines of latency that its pairs are judged by. */
  readonly lines: readonly PairLine[];
  readonly comparison: Comparison;
}

/** One model's routing. Without champion while none is promoted, and while the champion is served by its users' own service. */
export interface SnapshotModel {
  readonly name: string;
  readonly champion?: string;
  readonly rollout?: SnapshotRollout;
  readonly shadow?: SnapshotShadow;
  readonly isKilled: boolean;
  readonly routing: Routing;
  /** Predicted numbers are counted between these; absent when nobody knows yet what they look like. */
  readonly binEdges?: readonly number[];
  /** Versions to be tried as long as no user needs them: the last known good, and former champions that are passed over. */
  readonly standbys?: readonly string[];
  /** What they are tried with. */
  readonly golden?: GoldenSet;
  /** Champion, challenger and standbys: what must be loaded for the next decision to take effect at once. */
  readonly versions: readonly SnapshotVersion[];
}

/** The routing of one environment at one revision. `schema` grows when an older gateway could not read it. */
export interface Snapshot {
  readonly schema: 1;
  readonly environment: string;
  readonly revision: number;
  readonly models: readonly SnapshotModel[];
  /** Hashes only; a gateway never learns a secret. */
  readonly tokens: readonly Token[];
}

/** The documents of one environment, read at one revision. */
export interface EnvironmentState {
  readonly environment: string;
  readonly revision: number;
  readonly models: readonly Model[];
  readonly versions: readonly ModelVersion[];
  readonly rollouts: readonly Rollout[];
  readonly tokens: readonly Token[];
}

/** Compiles documents into what gateways run on. The same documents always give the same snapshot. */
export function compileSnapshot(state: EnvironmentState): Snapshot {
  const versions = Map.groupBy(state.versions, ({ model }) => model);
  const live = new Map(state.rollouts.filter((rollout) => isLive(rollout.state)).map((rollout) => [rollout.id, rollout]));
  const models = state.models.map((model) =>
    compileModel(model, versions.get(model.name) ?? [], live.get(model.liveRollout ?? '')),
  );
  return { schema: 1, environment: state.environment, revision: state.revision, models, tokens: state.tokens };
}

function compileModel(model: Model, versions: readonly ModelVersion[], rollout: Rollout | undefined): SnapshotModel {
  const shadow = shadowOf(model, rollout);
  const standbys = standbysOf(model, versions);
  const wanted = new Set([model.champion, rollout?.challenger, shadow?.version, ...standbys]);
  const loaded = versions.flatMap(({ version, source }) =>
    wanted.has(version) && isLoadable(source) ? [{ version, source }] : [],
  );
  const has = (version: string | undefined): boolean => loaded.some((one) => one.version === version);
  return {
    name: model.name,
    ...(model.champion === undefined || !has(model.champion) ? {} : { champion: model.champion }),
    ...(rollout === undefined || !has(rollout.challenger) ? {} : { rollout: compileRollout(rollout) }),
    ...(shadow === undefined || !has(shadow.version) ? {} : { shadow }),
    isKilled: model.killed !== undefined,
    routing: model.routing,
    ...edgesOf(rollout?.bins ?? championOf(model, versions)?.baseline?.distribution?.bins),
    ...(standbys.some(has) ? { standbys: standbys.filter(has) } : {}),
    ...(model.golden === undefined ? {} : { golden: model.golden }),
    versions: loaded,
  };
}

function championOf(model: Model, versions: readonly ModelVersion[]): ModelVersion | undefined {
  return versions.find(({ version }) => version === model.champion);
}

function edgesOf(bins: PredictionBins | undefined): Pick<SnapshotModel, 'binEdges'> {
  return bins?.kind === 'ordered' ? { binEdges: bins.edges } : {};
}

/** At most one: that of a rollout comes first. A kill switch stops all of them. */
function shadowOf(model: Model, rollout: Rollout | undefined): SnapshotShadow | undefined {
  if (model.killed !== undefined || model.champion === undefined) return undefined;
  const { comparison = DEFAULT_COMPARISON, shadow: standing } = model;
  const step = rollout === undefined ? undefined : shadowStepOf(rollout);
  if (rollout !== undefined && step !== undefined) {
    const { policy } = rollout.plan;
    return {
      version: rollout.challenger,
      boundary: boundaryOf(step.shadowPercent ?? 0),
      salt: rollout.salt,
      rules: model.routing.rules,
      rollout: rollout.id,
      step: stepOf(rollout.state),
      lines: policy.kind === 'sequential' ? pairLinesOf(policy.guards) : [],
      comparison,
    };
  }
  if (standing === undefined || standing.version === model.champion) return undefined;
  const { version, percent, salt, rules } = standing;
  return { version, boundary: boundaryOf(percent), salt, rules, lines: pairLinesOf(DEFAULT_SEQUENTIAL.guards), comparison };
}

function compileRollout(rollout: Rollout): SnapshotRollout {
  const { id, challenger, salt, state } = rollout;
  const lease = { ms: rollout.plan.leaseMs ?? DEFAULT_LEASE_MS, boundary: safeBoundaryOfRollout(rollout) };
  return { id, challenger, salt, step: stepOf(state), boundary: boundaryOfRollout(rollout), lease };
}
