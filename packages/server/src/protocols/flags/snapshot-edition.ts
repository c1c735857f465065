/** The snapshot of one state of the flags as it is sent. The protocol of our own SDK depends on it. */
import { type FlagSnapshot, SNAPSHOT_FORMAT } from '@understudy/contract/flag-snapshot';
import { type Edition, editionOf } from '../edge/edition.ts';
import type { FlagState } from '../flag-world.ts';

/** @returns the edition of a state; the same one as long as the documents are the same */
export function latestEdition(): (state: FlagState) => Edition {
  let latest: { readonly state: FlagState; readonly edition: Edition } | undefined;
  return (state) => {
    const isSame = latest?.state.documents === state.documents && latest.state.revision === state.revision;
    if (latest === undefined || !isSame) latest = { state, edition: editionOf(state.revision, snapshotOf(state)) };
    return latest.edition;
  };
}

function snapshotOf({ environment, revision, documents: { flags, segments } }: FlagState): FlagSnapshot {
  return { format: SNAPSHOT_FORMAT, environment, revision, documents: { flags: [...flags], segments: [...segments] } };
}
