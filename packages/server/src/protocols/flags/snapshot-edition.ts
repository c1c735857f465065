/** The snapshot of one state as it is sent: written once, whoever asks. The protocol of our own SDK depends on it. */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type FlagSnapshot, SNAPSHOT_FORMAT } from '@understudy/contract/flag-snapshot';
import type { FlagState } from '../flag-world.ts';

const compress = promisify(gzip);

export interface SnapshotEdition {
  /**
   * Revision and content: a store that came back from a backup reaches the same revision with other documents. Safe in
   * an entity tag, an event's id and a query.
   */
  readonly id: string;
  readonly body: Buffer;
  /** The body, compressed once. */
  readonly compressed: () => Promise<Buffer>;
  /** The body as an event. */
  readonly event: Buffer;
  /** The event that tells a client which has this edition that it is the newest. */
  readonly confirmation: Buffer;
}

/** @returns the edition of a state; the same one as long as the documents are the same */
export function latestEdition(): (state: FlagState) => SnapshotEdition {
  let latest: { readonly state: FlagState; readonly edition: SnapshotEdition } | undefined;
  return (state) => {
    const isSame = latest?.state.documents === state.documents && latest.state.revision === state.revision;
    if (latest === undefined || !isSame) latest = { state, edition: editionOf(state) };
    return latest.edition;
  };
}

function editionOf({ environment, revision, documents }: FlagState): SnapshotEdition {
  const { flags, segments } = documents;
  const snapshot: FlagSnapshot = {
    format: SNAPSHOT_FORMAT,
    environment,
    revision,
    documents: { flags: [...flags], segments: [...segments] },
  };
  const text = JSON.stringify(snapshot);
  const body = Buffer.from(text);
  const id = `${revision}-${createHash('sha256').update(body).digest('base64url').slice(0, 16)}`;
  let compressed: Promise<Buffer> | undefined;
  return {
    id,
    body,
    compressed: () => (compressed ??= compress(body)),
    event: Buffer.from(`id: ${id}\nevent: snapshot\ndata: ${text}\n\n`),
    confirmation: Buffer.from(`event: current\ndata: ${id}\n\n`),
  };
}
