/** Bugs that are put between the control planes and the store on purpose, to show that the simulation finds such bugs. */
import type { RolloutState } from '@understudy/core/rollout';
import { isLive } from '@understudy/core/rollout';
import type { Commit, Store, Write } from '../../packages/server/src/storage/store.ts';
import type { Dice } from './dice.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Each one breaks one promise of the store, or of the process's clock. */
export const PLANTED_BUGS = [
  'compare-and-set ignored',
  'unique window ignored',
  'idempotency ignored',
  'ends do not absorb',
  'reports not recognised',
  'acknowledged before the commit',
  'commit in pieces',
  'evidence read twice',
  'wall clock instead of elapsed time',
  'clock that was set is believed',
  'connected gateways unknown',
  'evidence not sealed',
] as const;
export type PlantedBug = (typeof PLANTED_BUGS)[number];

export interface PlantParts {
  readonly store: Store;
  readonly time: VirtualTime;
  readonly dice: Dice;
}

/** A bug of the way to the store: it says what the store did not say. The history stands behind it and sees what really happened. */
export function plantBefore(bug: PlantedBug | undefined, parts: PlantParts): Store {
  const { store } = parts;
  return bug === 'acknowledged before the commit' ? { ...store, commit: acknowledgesFirst(store, parts) } : store;
}

/** A bug of the store itself, behind the history. It begins with the first event: the world that it breaks was made whole. */
export function plantBehind(bug: PlantedBug | undefined, parts: PlantParts): Store {
  const { store, time } = parts;
  const buggy = storeWith(bug, parts);
  const present = (): Store => (time.nowMs() > 0 ? buggy : store);
  return {
    ...store,
    commit: (...args) => present().commit(...args),
    findIdempotent: (...args) => present().findIdempotent(...args),
    appendReport: (...args) => present().appendReport(...args),
    sealEvidence: (...args) => present().sealEvidence(...args),
    evidence: (...args) => present().evidence(...args),
    gateways: (...args) => present().gateways(...args),
  };
}

function storeWith(bug: PlantedBug | undefined, { store, dice }: PlantParts): Store {
  switch (bug) {
    case undefined:
    case 'wall clock instead of elapsed time':
    case 'clock that was set is believed':
    case 'acknowledged before the commit':
      return store;
    case 'compare-and-set ignored':
      return { ...store, commit: async (commit) => store.commit(await withPresentRevisions(store, commit)) };
    case 'unique window ignored':
      return { ...store, commit: (commit) => store.commit(inWindowOfItsOwn(commit)) };
    case 'idempotency ignored':
      return {
        ...store,
        findIdempotent: async () => undefined,
        commit: ({ idempotency: _ignored, ...commit }) => store.commit(commit),
      };
    case 'ends do not absorb':
      return {
        ...store,
        commit: async (commit) =>
          store.commit((await touchesAnEnd(store, commit)) ? await withPresentRevisions(store, commit) : commit),
      };
    case 'reports not recognised':
      return { ...store, appendReport: reportsAnew(store) };
    case 'evidence not sealed':
      return { ...store, sealEvidence: async () => undefined };
    case 'commit in pieces':
      return {
        ...store,
        commit: (commit) => store.commit(dice.chance(0.1) ? { ...commit, writes: commit.writes.slice(0, 1) } : commit),
      };
    case 'evidence read twice':
      // The reader's place is taken for the first block that it has not seen, instead of the last one that it has.
      return {
        ...store,
        evidence: (environment, query) =>
          store.evidence(environment, { ...query, afterCursor: Math.max(0, query.afterCursor - 1) }),
      };
    case 'connected gateways unknown':
      return { ...store, gateways: async () => [] };
  }
}

async function withPresentRevisions(store: Store, commit: Commit): Promise<Commit> {
  const present = async ({ kind, id }: Write): Promise<number> => (await store.read(commit.environment, kind, id))?.revision ?? 0;
  const writes = await Promise.all(commit.writes.map(async (write) => ({ ...write, expectedRevision: await present(write) })));
  return { ...commit, writes };
}

async function touchesAnEnd(store: Store, commit: Commit): Promise<boolean> {
  for (const { kind, id } of commit.writes) {
    if (kind !== 'rollout') continue;
    const document = await store.read(commit.environment, kind, id);
    const body = document?.body as unknown as { readonly state: RolloutState } | undefined;
    if (body !== undefined && !isLive(body.state)) return true;
  }
  return false;
}

let windows = 1_000_000;

/** Every decision gets another window than all before, so that none is refused as decided already. */
function inWindowOfItsOwn(commit: Commit): Commit {
  if (commit.decision === undefined) return commit;
  windows += 1;
  return { ...commit, decision: { ...commit.decision, window: windows } };
}

function reportsAnew(store: Store): Store['appendReport'] {
  let sequence = 0;
  return (environment, report, seenAtMs) => {
    sequence += 1;
    return store.appendReport(environment, { ...report, sequence }, seenAtMs);
  };
}

const LATER_MS = 150;

function acknowledgesFirst(store: Store, { time, dice }: PlantParts): Store['commit'] {
  return async (commit) => {
    if (!dice.chance(0.5)) return store.commit(commit);
    const revision = await store.revision(commit.environment);
    time.after(LATER_MS, () => void store.commit(commit));
    return { outcome: 'committed', revision: revision + 1 };
  };
}
