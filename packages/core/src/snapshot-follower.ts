/** How snapshots come to a gateway. What hands them out and what lives on them agree on it. */
import type { Snapshot } from './snapshot.ts';

/** What comes with a snapshot from elsewhere. */
export interface SnapshotFacts {
  readonly origin: SnapshotOrigin;
  /** When a control plane last said that it was the present one. */
  readonly asOfMs: number;
  /** Signs request ids from now on. */
  readonly requestIdKey: Uint8Array;
}

/** `last-known-good`: from the disk, as no control plane could be asked yet. */
export type SnapshotOrigin = 'control-plane' | 'last-known-good';

/** Who lives on snapshots. */
export interface SnapshotFollower {
  /**
   * @param facts absent when the control plane is in the same process
   * @returns why it cannot be used, and then the one before stays in use; undefined when it is in use now
   */
  take(snapshot: Snapshot, facts?: SnapshotFacts): string | undefined;
  /** A control plane whose store answers says that this revision is the present one; every few seconds as long as it does. */
  present(revision: number): void;
  /** Something came that cannot even be read as a snapshot. */
  refuse(reason: string): void;
}

/** Where snapshots come from. */
export interface SnapshotSource {
  /** Hands out the present snapshot at once, if there is one, and later ones soon after each change. @returns stops */
  subscribe(follower: SnapshotFollower): () => void;
}
