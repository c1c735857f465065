/** Compiles a snapshot after each commit and hands it to whoever lives on snapshots. The gateways of this process depend on it. */
import { compileSnapshot, type Snapshot } from '@understudy/core/snapshot';
import { loadEnvironment } from '../commands/queries.ts';
import type { Store } from '../storage/store.ts';

/** Snapshots of one environment, newest only. */
export interface SnapshotFeed {
  /**
   * Calls back at once with the present snapshot, and after each change.
   * @param onPresent called whenever the store has confirmed that this revision is the present one
   */
  subscribe(listener: (snapshot: Snapshot) => void, onPresent?: (revision: number) => void): () => void;
  /** Compiles now what is stored; for commits of other processes. Resolves when subscribers have it. */
  refresh(): Promise<void>;
  close(): void;
}

/** Where commits are seen, and what to do when compiling fails: subscribers keep what they have. */
export interface FeedOptions {
  readonly store: Pick<Store, 'read' | 'list' | 'readAll' | 'onCommit' | 'revision'>;
  readonly environment: string;
  readonly onFailure: (error: unknown) => void;
}

export async function openSnapshotFeed({ store, environment, onFailure }: FeedOptions): Promise<SnapshotFeed> {
  const listeners = new Set<(snapshot: Snapshot) => void>();
  const confirmed = new Set<(revision: number) => void>();
  let current = compileSnapshot(await loadEnvironment({ store, environment }));
  let working: Promise<void> = Promise.resolve();

  async function bringUpToDate(): Promise<void> {
    // Several commits in a row are one compilation: those that follow find nothing newer.
    if ((await store.revision(environment)) === current.revision) {
      for (const confirm of confirmed) confirm(current.revision);
      return;
    }
    current = compileSnapshot(await loadEnvironment({ store, environment }));
    for (const listener of listeners) listener(current);
  }

  function refresh(): Promise<void> {
    working = working.then(bringUpToDate).catch(onFailure);
    return working;
  }

  const unsubscribe = store.onCommit((committed) => {
    if (committed === environment) void refresh();
  });

  return {
    subscribe(listener, onPresent) {
      listeners.add(listener);
      if (onPresent !== undefined) confirmed.add(onPresent);
      listener(current);
      return () => {
        listeners.delete(listener);
        if (onPresent !== undefined) confirmed.delete(onPresent);
      };
    },
    refresh,
    close() {
      unsubscribe();
      listeners.clear();
      confirmed.clear();
    },
  };
}
