/** Pages of the journal, newest first, of all or of everything that concerns one model. */
import type { JournalEntryView } from '@understudy/contract/views';
import { z } from 'zod';
import type { Json, JournalChange, JournalEntry, Store } from '../storage/store.ts';

interface JournalSource {
  readonly store: Pick<Store, 'journal'>;
  readonly environment: string;
}

interface JournalPage {
  readonly before?: number;
  readonly model?: string;
  readonly limit: number;
}

// Large enough that a model with few changes is found quickly, small enough that nothing else waits long.
const BATCH = 500;

/** Entries before a revision. Those of a model are its own and those of its versions and rollouts. */
export async function readJournal({ store, environment }: JournalSource, page: JournalPage): Promise<JournalEntryView[]> {
  const found: JournalEntryView[] = [];
  const size = page.model === undefined ? page.limit : BATCH;
  let before = page.before;
  while (found.length < page.limit) {
    const place = before === undefined ? {} : { beforeRevision: before };
    const batch = await store.journal(environment, { ...place, order: 'newest-first', limit: size });
    const wanted = batch.filter((entry) => page.model === undefined || isAbout(entry, page.model));
    found.push(...wanted.slice(0, page.limit - found.length).map(entryView));
    before = batch.at(-1)?.revision;
    if (before === undefined || batch.length < size) break;
  }
  return found;
}

function isAbout(entry: JournalEntry, model: string): boolean {
  return entry.changes.some(
    ({ kind, id, before, after }) =>
      (kind === 'model' && id === model) || fieldOf(before, 'model') === model || fieldOf(after, 'model') === model,
  );
}

function entryView({ environment: _here, changes, ...entry }: JournalEntry): JournalEntryView {
  return { ...entry, changes: changes.map(changeView) };
}

function changeView({ kind, id, before, after }: JournalChange): JournalEntryView['changes'][number] {
  return { kind, id, before: shown(kind, before), after: shown(kind, after) };
}

/** The digest of a token is nobody's business, and the address of a webhook often is a secret. */
function shown(kind: JournalChange['kind'], body: Json): z.core.util.JSONType {
  const json = z.json().parse(body);
  if (kind === 'hook' && isRecord(json)) {
    const { salt: _salt, url, ...hook } = json;
    return { ...hook, origin: typeof url === 'string' ? (URL.parse(url)?.origin ?? null) : null };
  }
  if (kind !== 'token' || !isRecord(json)) return json;
  const { sha256: _digest, ...rest } = json;
  return rest;
}

function fieldOf(body: Json, name: string): Json | undefined {
  return isRecord(body) ? body[name] : undefined;
}

function isRecord<Value extends Json>(json: Value): json is Extract<Value, { readonly [key: string]: Json }> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
