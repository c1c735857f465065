/** The hash chain of the journal. Every backend writes and checks the same hashes, so that a journal can move between them. */
import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import type { JournalEntry } from './store.ts';

/** What stands before the first entry of an environment. */
export const GENESIS_HASH = '0'.repeat(64);

/** SHA-256 over the previous entry's hash and the canonical JSON of everything else in this entry. */
export function hashOfEntry(entry: Omit<JournalEntry, 'hash'>): string {
  const { environment, revision, atMs, actor, action, reason, previousHash } = entry;
  const changes = entry.changes.map(({ kind, id, before, after }) => ({ kind, id, before, after }));
  return createHash('sha256')
    .update(previousHash)
    .update(canonicalJson({ environment, revision, atMs, actor, action, reason, changes }))
    .digest('hex');
}
