/**
 * A store whose documents of one environment are held in memory. Each read asks a shared store for its revision first, and takes in
 * what the journal says has changed since, so that it sees what a read of the store itself would see, without reading it all again.
 */
import { AppError } from '@understudy/core/errors';
import { byBytes } from './byte-order.ts';
import type { DocumentKind, EnvironmentDocuments, JournalEntry, Store, StoredDocument } from './store.ts';

// The same one each time, as any list is that has not changed.
const NONE: readonly StoredDocument[] = [];

// Beyond that, reading everything is less work than reading what changed.
const MOST_ENTRIES = 200;

/** The documents at one revision. A document that did not change is the same object at the next. */
interface Held {
  readonly revision: number;
  readonly kinds: ReadonlyMap<DocumentKind, readonly StoredDocument[]>;
  /** Everything at once, made when it is asked for. */
  all: readonly StoredDocument[] | undefined;
}

export interface CacheOptions {
  /** Others are read from the store as ever. */
  readonly environment: string;
  /** Whether other processes change the store; if not, nothing has changed but by us, and the store need not be asked. */
  readonly isShared: boolean;
}

export function withDocumentCache(store: Store, { environment, isShared }: CacheOptions): Store {
  let held: Held | undefined;
  // Of the newest commit of ours that is acknowledged.
  let ownRevision = 0;
  let working: Promise<unknown> = Promise.resolve();

  async function bringUpToDate(): Promise<Held> {
    if (!isShared && held !== undefined && held.revision >= ownRevision) return held;
    const revision = await store.revision(environment);
    if (held?.revision === revision) return held;
    held = (await advanced(store, environment, { held, revision })) ?? heldOf(await store.readAll(environment), held);
    return held;
  }

  /** One at a time, and never one that began before the call: what was acknowledged by then must be in it. */
  function fresh(): Promise<Held> {
    const next = working.then(bringUpToDate, bringUpToDate);
    working = next;
    return next;
  }

  return {
    ...store,
    async commit(commit) {
      const result = await store.commit(commit);
      if (result.outcome === 'committed' && commit.environment === environment) {
        ownRevision = Math.max(ownRevision, result.revision);
      }
      return result;
    },
    async read(asked, kind, id) {
      if (asked !== environment) return store.read(asked, kind, id);
      const documents = (await fresh()).kinds.get(kind) ?? NONE;
      const found = documents[placeOf(documents, id)];
      return found?.id === id ? found : undefined;
    },
    async list(asked, kind, prefix = '') {
      if (asked !== environment) return store.list(asked, kind, prefix);
      const documents = (await fresh()).kinds.get(kind) ?? NONE;
      return prefix === '' ? documents : startingWith(documents, prefix);
    },
    async readAll(asked) {
      if (asked !== environment) return store.readAll(asked);
      const present = await fresh();
      present.all ??= [...present.kinds.keys()].toSorted(byBytes).flatMap((kind) => present.kinds.get(kind) ?? []);
      return { revision: present.revision, documents: present.all };
    },
  };
}

interface Known {
  readonly held: Held | undefined;
  readonly revision: number;
}

/** What is held with what the journal says since; undefined when it must be read anew. */
async function advanced(store: Store, environment: string, { held, revision }: Known): Promise<Held | undefined> {
  if (held === undefined || revision < held.revision || revision - held.revision > MOST_ENTRIES) return undefined;
  const entries = await store.journal(environment, {
    afterRevision: held.revision,
    order: 'oldest-first',
    limit: MOST_ENTRIES,
  });
  const last = entries.at(-1);
  if (last === undefined || last.revision < revision || entries[0]?.revision !== held.revision + 1) return undefined;
  return { revision: last.revision, kinds: changed(held.kinds, entries), all: undefined };
}

function changed(kinds: Held['kinds'], entries: readonly JournalEntry[]): Held['kinds'] {
  const next = new Map<DocumentKind, StoredDocument[]>();
  const ofKind = (kind: DocumentKind): StoredDocument[] => {
    const present = next.get(kind) ?? [...(kinds.get(kind) ?? [])];
    next.set(kind, present);
    return present;
  };
  for (const { revision, changes } of entries) {
    for (const { kind, id, after } of changes) {
      const documents = ofKind(kind);
      const place = placeOf(documents, id);
      const isThere = documents[place]?.id === id;
      if (after === null) documents.splice(place, isThere ? 1 : 0);
      else documents.splice(place, isThere ? 1 : 0, { kind, id, revision, body: after });
    }
  }
  return new Map([...kinds, ...next]);
}

/** Documents that were held already stay the objects they are. */
function heldOf({ revision, documents }: EnvironmentDocuments, before: Held | undefined): Held {
  const kinds = new Map<DocumentKind, StoredDocument[]>();
  for (const document of documents) {
    const known = before?.kinds.get(document.kind) ?? [];
    const same = known[placeOf(known, document.id)];
    const one = same?.id === document.id && same.revision === document.revision ? same : document;
    const ofKind = kinds.get(document.kind);
    if (ofKind === undefined) kinds.set(document.kind, [one]);
    else ofKind.push(one);
  }
  for (const ofKind of kinds.values()) {
    ofKind.sort((left, right) => byBytes(left.id, right.id));
    assertDistinct(ofKind);
  }
  return { revision, kinds, all: undefined };
}

function assertDistinct(documents: readonly StoredDocument[]): void {
  for (const [index, { kind, id }] of documents.entries()) {
    if (index > 0 && documents[index - 1]?.id === id) {
      throw new AppError('store.corrupt', `the store has two documents ${kind} "${id}"; restore it from a backup`);
    }
  }
}

/** Where a document is, or would be. */
function placeOf(documents: readonly StoredDocument[], id: string): number {
  let [low, high] = [0, documents.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (byBytes(documents[middle]?.id ?? '', id) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function startingWith(documents: readonly StoredDocument[], prefix: string): readonly StoredDocument[] {
  const first = placeOf(documents, prefix);
  let end = first;
  while (documents[end]?.id.startsWith(prefix) === true) end += 1;
  return documents.slice(first, end);
}
