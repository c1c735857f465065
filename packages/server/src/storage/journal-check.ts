/** Walks a journal from its first entry and says where it stops being true. Every backend's `verifyJournal` uses it. */
import { isAppError } from '@understudy/core/errors';
import { canonicalJson } from './canonical-json.ts';
import { GENESIS_HASH, hashOfEntry } from './journal-hash.ts';
import type { JournalCheck, JournalEntry, StoredDocument } from './store.ts';

/** A document as the entries so far left it. */
interface Expected {
  readonly revision: number;
  readonly body: string;
}

interface Broken {
  readonly at: number;
  readonly problem: string;
}

const ABSENT = canonicalJson(null);

export interface JournalChecker {
  /** The last revision found good. */
  readonly revision: () => number;
  /** Takes the next entry; false when it does not follow from those before. `read` may throw `store.corrupt`. */
  readonly accept: (read: () => JournalEntry) => boolean;
  /** Compares the present documents with what the entries made of them. */
  readonly finish: (read: () => readonly StoredDocument[]) => JournalCheck;
  /** What was found so far. */
  readonly result: () => JournalCheck;
}

/** Begins before the first entry of an environment. */
export function openJournalChecker(): JournalChecker {
  const documents = new Map<string, Expected>();
  let revision = 0;
  let head = GENESIS_HASH;
  let broken: Broken | undefined;

  function problemOf(entry: JournalEntry): string | undefined {
    if (entry.revision !== revision + 1) return `entry ${revision + 1} is missing`;
    if (entry.previousHash !== head) return 'it does not carry the hash of the entry before';
    if (hashOfEntry(entry) !== entry.hash) return 'its content does not match its hash';
    for (const { kind, id, before } of entry.changes) {
      const expected = documents.get(`${kind}/${id}`)?.body ?? ABSENT;
      if (canonicalJson(before) !== expected) return `${kind} "${id}" was something else before than it says`;
    }
    return undefined;
  }

  function apply(entry: JournalEntry): void {
    revision = entry.revision;
    head = entry.hash;
    for (const { kind, id, after } of entry.changes) {
      const body = canonicalJson(after);
      if (body === ABSENT) documents.delete(`${kind}/${id}`);
      else documents.set(`${kind}/${id}`, { revision, body });
    }
  }

  const result = (): JournalCheck =>
    broken === undefined
      ? { intact: true, entries: revision, head }
      : { intact: false, entries: revision, brokenAtRevision: broken.at, problem: broken.problem };

  return {
    revision: () => revision,
    result,
    accept: (read) => {
      const entry = readOrProblem(read);
      const problem = typeof entry === 'string' ? entry : problemOf(entry);
      if (problem !== undefined) broken = { at: revision + 1, problem };
      else if (typeof entry !== 'string') apply(entry);
      return problem === undefined;
    },
    finish: (read) => {
      const present = readOrProblem(read);
      broken = typeof present === 'string' ? { at: revision, problem: present } : differenceOf(present, documents);
      return result();
    },
  };
}

/** The first difference between what is there and what the entries made. */
function differenceOf(present: readonly StoredDocument[], documents: ReadonlyMap<string, Expected>): Broken | undefined {
  const missing = new Map(documents);
  for (const { kind, id, ...document } of present) {
    const expected = missing.get(`${kind}/${id}`);
    missing.delete(`${kind}/${id}`);
    if (expected === undefined) return { at: document.revision, problem: `no entry made ${kind} "${id}"` };
    if (expected.body !== canonicalJson(document.body) || expected.revision !== document.revision) {
      return { at: expected.revision, problem: `${kind} "${id}" is not what its last entry made it` };
    }
  }
  for (const [name, { revision: at }] of missing) return { at, problem: `${name} is gone and no entry deleted it` };
  return undefined;
}

function readOrProblem<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (isAppError(error, 'store.corrupt')) return error.message;
    throw error;
  }
}
