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
    read: once(documents, 'read', (...args: Parameters<Store['read']>) => store.read(...args)),
    list: once(documents, 'list', (...args: Parameters<Store['list']>) => store.list(...args)),
    readAll: once(documents, 'readAll', (...args: Parameters<Store['readAll']>) => store.readAll(...args)),
    revision: once(documents, 'revision', (...args: Parameters<Store['revision']>) => store.revision(...args)),
    decisions: once(documents, 'decisions', (...args: Parameters<Store['decisions']>) => store.decisions(...args)),
    findIdempotent: once(documents, 'findIdempotent', (...args: Parameters<Store['findIdempotent']>) =>
      store.findIdempotent(...args),
    ),
    feedback: once(documents, 'feedback', (...args: Parameters<Store['feedback']>) => store.feedback(...args)),
    evidence: once(evidence, 'evidence', (...args: Parameters<Store['evidence']>) => store.evidence(...args)),
    gateways: once(evidence, 'gateways', (...args: Parameters<Store['gateways']>) => store.gateways(...args)),
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
