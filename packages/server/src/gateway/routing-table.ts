/** Which versions answer for each model, by the newest snapshot that this gateway could take in. The hot path reads it, once a request. */
import type { Readiness, Trial } from '@understudy/contract/report';
import type { Snapshot, SnapshotModel, SnapshotVersion } from '@understudy/core/snapshot';
import type { Probe } from '@understudy/core/standby';
import { type LoadedVersion, type LoadingPorts, loadVersion } from './loaded-version.ts';
import { type ModelEntry, modelEntryOf } from './model-entry.ts';
import type { SeatMakers } from './seat.ts';
import { refusalOf } from './snapshot-check.ts';
import type { Standby } from './standby-probes.ts';

export interface RoutingTable {
  /** Takes a snapshot in; one that does not fit is refused and changes nothing. @returns why it is refused */
  apply(snapshot: Snapshot): string | undefined;
  find(model: string): ModelEntry | undefined;
  /** The only model's name; undefined when there are none or several. */
  readonly onlyModel: string | undefined;
  readonly names: readonly string[];
  /** -1 before the first snapshot. */
  readonly revision: number;
  /** Of every version that the snapshot wants. */
  readiness(nowMs: number): readonly Readiness[];
  /** Challengers of live rollouts that are loaded here. */
  trials(nowMs: number): readonly PresentTrial[];
  /** Versions that are loaded to be at hand and answer nobody. */
  standbys(): readonly Standby[];
  /** Why this gateway is not ready to serve every model; empty when it is. */
  problems(): readonly string[];
  /** Why no request should come here yet, for anybody to read: no names, no details. */
  summary(): readonly string[];
  /** Closes every version once its requests have ended. */
  close(): Promise<void>;
}

/** What this gateway does about a challenger by itself. */
export interface PresentTrial {
  readonly model: string;
  readonly version: string;
  readonly trial: Trial;
}

export interface RoutingTablePorts extends LoadingPorts {
  /** Makers of seats for an environment. */
  makersFor(environment: string): SeatMakers;
  /** The newest try of a version that answers nobody. */
  probeOf?(loaded: LoadedVersion): Probe | undefined;
}

/** What the newest snapshot wants, beside what is served meanwhile. */
interface TableState {
  applied: { readonly snapshot: Snapshot; readonly makers: SeatMakers } | undefined;
  entries: ReadonlyMap<string, ModelEntry>;
  /** Every version that is wanted or still serves, by what it is made of. */
  readonly loaded: Map<string, LoadedVersion>;
  /** Versions that still have requests. */
  readonly retiring: Set<Promise<void>>;
  isClosed: boolean;
  /** Whether every model could be served once. */
  wasReady: boolean;
}

/** Opens an empty table. Loading goes on in the background; each version that becomes ready updates the entries. */
export function openRoutingTable(ports: RoutingTablePorts): RoutingTable {
  const state: TableState = {
    applied: undefined,
    entries: new Map(),
    loaded: new Map(),
    retiring: new Set(),
    isClosed: false,
    wasReady: false,
  };
  return {
    apply(snapshot) {
      const refusal = refusalOf(state.applied?.snapshot, snapshot);
      if (refusal !== undefined) return refusal;
      state.applied = { snapshot, makers: ports.makersFor(snapshot.environment) };
      loadWanted(state, ports, snapshot);
      update(state);
      return undefined;
    },
    find: (model) => state.entries.get(model),
    get onlyModel() {
      const models = modelsOf(state);
      return models.length === 1 ? models[0]?.name : undefined;
    },
    get names() {
      return modelsOf(state).map((model) => model.name);
    },
    get revision() {
      return state.applied?.snapshot.revision ?? -1;
    },
    readiness: (nowMs) =>
      modelsOf(state).flatMap((model) => {
        const trial = trialIn(state, model.name, nowMs);
        return [...versionsOf(state, model).values()].map((loaded) => {
          const { readiness } = loaded;
          const probe = isStandby(model, loaded.version) ? ports.probeOf?.(loaded) : undefined;
          return {
            ...readiness,
            ...(probe === undefined ? {} : { probe }),
            ...(trial?.version === readiness.version ? { trial: trial.trial } : {}),
          };
        });
      }),
    trials: (nowMs) => modelsOf(state).flatMap(({ name }) => trialIn(state, name, nowMs) ?? []),
    standbys: () =>
      modelsOf(state).flatMap((model) =>
        [...versionsOf(state, model).values()].flatMap((loaded) =>
          isStandby(model, loaded.version) ? [{ loaded, golden: model.golden, deadlineMs: model.routing.deadlineMs }] : [],
        ),
      ),
    problems: () => problemsOf(state),
    summary: () => summaryOf(state),
    async close() {
      state.isClosed = true;
      for (const version of state.loaded.values()) retire(state, version);
      await Promise.all(state.retiring);
    },
  };
}

function loadWanted(state: TableState, ports: LoadingPorts, snapshot: Snapshot): void {
  for (const model of snapshot.models) {
    for (const wanted of model.versions) {
      const key = keyOf(model.name, wanted);
      if (state.loaded.has(key)) continue;
      state.loaded.set(
        key,
        loadVersion(ports, { model: model.name, wanted }, () => update(state)),
      );
    }
  }
}

/** Makes every entry anew, swaps them in at once, and lets go of what nobody wants or uses any more. */
function update(state: TableState): void {
  const { applied } = state;
  if (applied === undefined || state.isClosed) return;
  const { snapshot, makers } = applied;
  const entries = new Map<string, ModelEntry>();
  const used = new Set<LoadedVersion | undefined>();
  for (const model of snapshot.models) {
    const versions = versionsOf(state, model);
    const former = state.entries.get(model.name);
    const entry = modelEntryOf({ model, revision: snapshot.revision, versions, makers, former });
    entries.set(model.name, entry);
    for (const version of versions.values()) used.add(version);
    used.add(entry.champion?.loaded).add(entry.challenger?.loaded);
  }
  state.entries = entries;
  for (const [key, version] of state.loaded) {
    if (used.has(version)) continue;
    state.loaded.delete(key);
    retire(state, version);
  }
  state.wasReady ||= problemsOf(state).length === 0;
}

function retire(state: TableState, version: LoadedVersion): void {
  const closing = version.retire().then(() => {
    state.retiring.delete(closing);
  });
  state.retiring.add(closing);
}

function trialIn(state: TableState, model: string, nowMs: number): PresentTrial | undefined {
  const { trial, model: served } = state.entries.get(model) ?? {};
  if (trial === undefined || served?.rollout === undefined) return undefined;
  return { model, version: trial.challenger.version, trial: trial.report(served.rollout, nowMs) };
}

/** The champion and the challenger are tried by their users. */
function isStandby({ standbys = [], champion, rollout }: SnapshotModel, version: string): boolean {
  return standbys.includes(version) && version !== champion && version !== rollout?.challenger;
}

function modelsOf(state: TableState): readonly SnapshotModel[] {
  return state.applied?.snapshot.models ?? [];
}

function versionsOf(state: TableState, model: SnapshotModel): ReadonlyMap<string, LoadedVersion> {
  const versions = new Map<string, LoadedVersion>();
  for (const wanted of model.versions) {
    const loaded = state.loaded.get(keyOf(model.name, wanted));
    if (loaded !== undefined) versions.set(wanted.version, loaded);
  }
  return versions;
}

/** Two sources under one name are two versions: a model may be deleted and made again between two snapshots. */
function keyOf(model: string, { version, source }: SnapshotVersion): string {
  return JSON.stringify([model, version, source]);
}

function problemsOf(state: TableState): readonly string[] {
  if (state.applied === undefined) return ['no snapshot yet'];
  return modelsOf(state).flatMap((model) => problemOf(state, model) ?? []);
}

function problemOf(state: TableState, { name, champion, rollout }: SnapshotModel): string | undefined {
  const entry = state.entries.get(name);
  const readinessOf = (version: string) => entry?.versions.get(version)?.readiness;
  if (champion !== undefined && entry?.champion === undefined) {
    const { state: at = 'missing', detail = 'unknown' } = readinessOf(champion) ?? {};
    return `model "${name}": version "${champion}" is ${at} (${detail})`;
  }
  // Users of the challenger should meet it after a restart, not the champion for a moment. Later on nobody waits for one that is new.
  const isAwaited = !state.wasReady && rollout !== undefined && rollout.step >= 0;
  if (!isAwaited || readinessOf(rollout.challenger)?.state !== 'loading') return undefined;
  return `model "${name}": version "${rollout.challenger}" is loading, and was on trial before the start`;
}

/** A gateway that could serve every model once stays ready: a model that is new or fails must not take the others offline. */
function summaryOf(state: TableState): readonly string[] {
  if (state.applied === undefined) return ['no snapshot yet'];
  const count = problemsOf(state).length;
  return count === 0 || state.wasReady ? [] : [`${count} of ${modelsOf(state).length} models cannot be served yet`];
}
