/** Compiles a snapshot after each commit and hands it to whoever lives on snapshots. The gateways of this process depend on it. */
import { compileSnapshot } from '@understudy/core/snapshot';
import type { SnapshotFollower, SnapshotSource } from '@understudy/core/snapshot-follower';
import type { Clock } from '../clock.ts';
import { loadEnvironment } from '../commands/queries.ts';
import type { Store } from '../storage/store.ts';
import { openPacedRefresh, type PacedRefreshPorts } from './paced-refresh.ts';

/** Snapshots of one environment, newest only. */
export interface SnapshotFeed extends SnapshotSource {
  /** Compiles now what is stored; for commits of other processes. Resolves when subscribers have it. */
  refresh(): Promise<void>;
  close(): void;
}

/** Where commits are seen, and what to do when compiling fails: subscribers keep what they have. */
export interface FeedOptions {
  readonly store: Pick<Store, 'read' | 'list' | 'readAll' | 'onCommit' | 'revision'>;
  readonly environment: string;
  readonly onFailure: (error: unknown) => void;
  readonly clock: Clock;
  readonly timers: PacedRefreshPorts['timers'];
}

export async function openSnapshotFeed({ store, environment, onFailure, clock, timers }: FeedOptions): Promise<SnapshotFeed> {
  const followers = new Set<SnapshotFollower>();
  let current = compileSnapshot(await loadEnvironment({ store, environment }));
  let working: Promise<void> = Promise.resolve();

  async function bringUpToDate(): Promise<void> {
    // Several commits in a row are one compilation: those that follow find nothing newer.
    if ((await store.revision(environment)) === current.revision) {
      for (const follower of followers) follower.present(current.revision);
      return;
    }
    current = compileSnapshot(await loadEnvironment({ store, environment }));
    for (const follower of followers) follower.take(current);
  }

  function refresh(): Promise<void> {
    working = working.then(bringUpToDate).catch(onFailure);
    return working;
  }

  const paced = openPacedRefresh({ refresh, clock, timers });
  const unsubscribe = store.onCommit((committed) => {
    if (committed === environment) paced.soon();
  });

  return {
    subscribe(follower) {
      followers.add(follower);
      follower.take(current);
      return () => void followers.delete(follower);
    },
    refresh,
    close() {
      unsubscribe();
      paced.close();
      followers.clear();
    },
  };
}
