/**
 * Remembers what a store answered until something is written that could change it. It only saves the simulation time: every
 * answer is the store's own.
 */
import type { Store } from '../../packages/server/src/storage/store.ts';

type Ask<Arguments extends readonly unknown[], Answer> = (...args: Arguments) => Promise<Answer>;

/** @param store of one world; nobody else writes to its environment */
export function rememberReads(store: Store): Store {
  const documents = new Map<string, Promise<unknown>>();
  const evidence = new Map<string, Promise<unknown>>();
  return {
    ...store,
    read: once(documents, 'read', store.read),
    list: once(documents, 'list', store.list),
    readAll: once(documents, 'readAll', store.readAll),
    revision: once(documents, 'revision', store.revision),
    decisions: once(documents, 'decisions', store.decisions),
    findIdempotent: once(documents, 'findIdempotent', store.findIdempotent),
    feedback: once(documents, 'feedback', store.feedback),
    evidence: once(evidence, 'evidence', store.evidence),
    gateways: once(evidence, 'gateways', store.gateways),
    async commit(commit) {
      const result = await store.commit(commit);
      documents.clear();
      return result;
    },
    async appendReport(environment, report, seenAtMs) {
      const outcome = await store.appendReport(environment, report, seenAtMs);
      evidence.clear();
      return outcome;
    },
    async saveFeedback(environment, marks) {
      await store.saveFeedback(environment, marks);
      documents.clear();
    },
  };
}

function once<Arguments extends readonly unknown[], Answer>(
  answers: Map<string, Promise<unknown>>,
  name: string,
  ask: Ask<Arguments, Answer>,
): Ask<Arguments, Answer> {
  return (...args) => {
    const key = `${name} ${JSON.stringify(args)}`;
    const known = answers.get(key);
    // The key names the method, so what is found under it is that method's answer.
    if (known !== undefined) return known as Promise<Answer>;
    const asked = ask(...args);
    answers.set(key, asked);
    return asked;
  };
}
