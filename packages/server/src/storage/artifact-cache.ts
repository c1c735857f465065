/** Model files of a gateway that is by itself: got from control planes when they are wanted, deleted some days after nobody wants them any more. */
import { AppError } from '@understudy/core/errors';
import type { Snapshot } from '@understudy/core/snapshot';
import type { SnapshotSource } from '@understudy/core/snapshot-follower';
import type { Clock } from '../clock.ts';
import type { ArtifactStore } from './artifact-store.ts';

export interface ArtifactCacheParts {
  readonly files: ArtifactStore;
  /** @throws AppError `artifact.not_found` when no control plane that answers has it */
  readonly download: (sha256: string) => Promise<AsyncIterable<Uint8Array>>;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly timers: { after(ms: number, run: () => void): () => void };
  readonly log: { info(fields: object, event: string): void; warn(fields: object, event: string): void };
}

export interface ArtifactCache extends Pick<ArtifactStore, 'verify' | 'path'> {
  /** The same snapshots; from each that is in use follows which files are wanted. */
  noticing(snapshots: SnapshotSource): SnapshotSource;
  close(): Promise<void>;
}

const SWEEP_EVERY_MS = 3_600_000;
/** A version that was just let go may be gone back to, and so may the snapshot before. */
const KEPT_MS = 7 * 86_400_000;

export function openArtifactCache(parts: ArtifactCacheParts): ArtifactCache {
  const { files, timers, log } = parts;
  // Until a snapshot is in use nothing is known to be unwanted.
  let wanted: ReadonlySet<string> | undefined;
  let sweeping: Promise<void> = Promise.resolve();
  let isClosed = false;
  let cancel = plan();

  function plan(): () => void {
    return timers.after(SWEEP_EVERY_MS, () => {
      sweeping = (wanted === undefined ? Promise.resolve() : sweep(parts, wanted))
        .catch((error: unknown) => log.warn({ err: error }, 'artifacts.not_swept'))
        .finally(() => {
          if (!isClosed) cancel = plan();
        });
    });
  }

  return {
    path: (sha256) => files.path(sha256),
    async verify(sha256) {
      if (!(await files.has(sha256))) await get(parts, sha256);
      return files.verify(sha256);
    },
    noticing: (snapshots) => ({
      subscribe: (follower) =>
        snapshots.subscribe({
          take(snapshot, facts) {
            const refusal = follower.take(snapshot, facts);
            if (refusal === undefined) wanted = filesOf(snapshot);
            return refusal;
          },
          present: (revision) => follower.present(revision),
          refuse: (reason) => follower.refuse(reason),
        }),
    }),
    async close() {
      isClosed = true;
      cancel();
      await sweeping;
    },
  };
}

/** The time of a file is that of the last sweep at which it was wanted, or of its download. */
async function sweep({ files, clock, log }: ArtifactCacheParts, wanted: ReadonlySet<string>): Promise<void> {
  const nowMs = clock.nowMs();
  for (const { sha256, touchedAtMs } of await files.list()) {
    if (wanted.has(sha256)) await files.touch(sha256, nowMs);
    else if (nowMs - touchedAtMs > KEPT_MS) {
      await files.remove(sha256);
      log.info({ sha256 }, 'artifact.deleted');
    }
  }
}

async function get({ files, download, maxBytes }: ArtifactCacheParts, sha256: string): Promise<void> {
  const stored = await files.put(await download(sha256), { maxBytes });
  if (stored.sha256 === sha256) return;
  await files.remove(stored.sha256);
  throw new AppError('artifact.checksum_mismatch', `a control plane gave another file than ${sha256}: ${stored.sha256}`);
}

function filesOf({ models }: Snapshot): ReadonlySet<string> {
  const sources = models.flatMap(({ versions }) => versions.map(({ source }) => source));
  return new Set(sources.flatMap((source) => (source.kind === 'onnx' ? [source.sha256] : [])));
}
