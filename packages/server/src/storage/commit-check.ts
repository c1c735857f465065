/** What no backend accepts as a commit, whatever it holds. Every backend's `commit` begins with it. */
import { AppError } from '@understudy/core/errors';
import type { Commit } from './store.ts';

/**
 * Throws on a commit that cannot be meant, which is a bug of the caller, and on text that not every backend can give back.
 * @throws Error without writes and decision, with two writes to one document, with null for a
 *   document, or when deleting what must not exist
 * @throws AppError `request.invalid` on text that is not Unicode, or holds the character with the number 0
 */
export function refuseSenseless(commit: Commit): void {
  if (commit.writes.length === 0 && commit.decision === undefined) {
    throw new Error(`commit "${commit.action}" changes nothing and decides nothing`);
  }
  const seen = new Set<string>();
  for (const { kind, id, body, expectedRevision } of commit.writes) {
    if (seen.has(`${kind}/${id}`)) throw new Error(`commit "${commit.action}" writes ${kind} "${id}" twice`);
    seen.add(`${kind}/${id}`);
    // In the journal null says that there was no document.
    if (body === null) throw new Error(`commit "${commit.action}" writes null to ${kind} "${id}"`);
    if (body === undefined && expectedRevision === 0) {
      throw new Error(`commit "${commit.action}" deletes ${kind} "${id}", which must not exist`);
    }
  }
  refuseUnstorable(commit);
}

/** Half a surrogate pair would come back as another character, and the journal's hash would no longer match. JSON escapes both. */
function refuseUnstorable({ environment, actor, action, reason, writes, decision, idempotency }: Commit): void {
  const texts = [environment, actor, action, reason, decision?.rollout, idempotency?.key, idempotency?.request];
  for (const text of [...texts, ...writes.map(({ id }) => id)]) {
    if (text === undefined || (text.isWellFormed() && !text.includes('\0'))) continue;
    throw new AppError(
      'request.invalid',
      `cannot commit "${action}": the text ${JSON.stringify(text)} holds the character 0 or half of a surrogate pair; send it without`,
    );
  }
}
