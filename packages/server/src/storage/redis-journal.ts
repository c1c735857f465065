/** Reads and checks the journal of a Redis store. */
import { openJournalChecker } from './journal-check.ts';
import { allDocumentsOf } from './redis-documents.ts';
import type { HeadWatch } from './redis-head.ts';
import { DOCUMENT_KINDS, keysOf } from './redis-keys.ts';
import type { RedisCommand, RedisLink, RedisRead } from './redis-link.ts';
import { type StreamEntry, streamOf, textsOf } from './redis-replies.ts';
import { entryOfRow } from './rows.ts';
import type { JournalCheck, JournalEntry, JournalQuery, Store } from './store.ts';

// Some milliseconds of the server's time, after which other commands get their turn.
const ENTRIES_PER_TURN = 200;

export function openJournal(link: RedisLink, heads: HeadWatch): Pick<Store, 'journal' | 'verifyJournal'> {
  return {
    journal: async (environment, query) => {
      if (query.limit <= 0) return [];
      const entries = query.subject === undefined ? await range(link, environment, query) : await some(link, environment, query);
      return entries.map((entry) => entryOf(environment, entry));
    },
    verifyJournal: (environment) => check({ link, heads }, environment),
  };
}

async function range(link: RedisLink, environment: string, query: JournalQuery): Promise<readonly StreamEntry[]> {
  const first = `${(query.afterRevision ?? 0) + 1}-0`;
  const last = query.beforeRevision === undefined ? '+' : `${query.beforeRevision - 1}-0`;
  const key = keysOf(environment).journal;
  const [command, ...bounds] = query.order === 'newest-first' ? ['xrevrange', last, first] : ['xrange', first, last];
  if ((query.beforeRevision ?? Infinity) < 1) return [];
  const [reply] = await link.send('read the journal', [[command ?? '', key, ...bounds, 'COUNT', String(query.limit)]]);
  return streamOf(reply);
}

/** Entries that change one document. */
async function some(link: RedisLink, environment: string, query: JournalQuery): Promise<readonly StreamEntry[]> {
  const { subject, limit } = query;
  if (subject === undefined) return [];
  const keys = keysOf(environment);
  const bounds = [`(${query.afterRevision ?? 0}`, query.beforeRevision === undefined ? '+inf' : `(${query.beforeRevision}`];
  const command = query.order === 'newest-first' ? 'zrevrangebyscore' : 'zrangebyscore';
  const ordered = query.order === 'newest-first' ? bounds.toReversed() : bounds;
  const key = keys.history(subject.kind, subject.id);
  const [reply] = await link.send('read the journal', [[command, key, ...ordered, 'LIMIT', '0', String(limit)]]);
  const found: StreamEntry[] = [];
  const revisions = textsOf(reply);
  for (let at = 0; at < revisions.length; at += ENTRIES_PER_TURN) {
    const turn = revisions.slice(at, at + ENTRIES_PER_TURN);
    const commands = turn.map((revision): RedisCommand => ['xrange', keys.journal, `${revision}-0`, `${revision}-0`]);
    for (const one of await link.send('read the journal', commands)) found.push(...streamOf(one));
  }
  return found;
}

interface CheckParts {
  readonly link: RedisLink;
  readonly heads: HeadWatch;
}

/** Recomputes the whole chain and compares head and documents with it. Commits may happen meanwhile. */
async function check({ link, heads }: CheckParts, environment: string): Promise<JournalCheck> {
  const keys = keysOf(environment);
  const checker = openJournalChecker();
  const next = (): RedisRead => ['xrange', keys.journal, `${checker.revision() + 1}-0`, '+', 'COUNT', String(ENTRIES_PER_TURN)];
  const accept = (entries: readonly StreamEntry[]): boolean =>
    entries.every((entry) => checker.accept(() => entryOf(environment, entry)));
  for (;;) {
    const [reply] = await link.send('check the journal', [next()]);
    const entries = streamOf(reply);
    if (!accept(entries)) return checker.result();
    if (entries.length === ENTRIES_PER_TURN) continue;
    // Nothing comes in between the last entries and what they lead to.
    const seen = heads.ask(environment);
    const [last, head, ...kinds] = await link.readTogether('check the documents', [
      next(),
      ['get', keys.head],
      ...DOCUMENT_KINDS.map((kind) => ['hgetall', keys.documents(kind)] as const),
    ]);
    const rest = streamOf(last);
    if (!accept(rest)) return checker.result();
    if (rest.length < ENTRIES_PER_TURN) {
      const result = checker.finish(() => allDocumentsOf(kinds));
      const { revision, hash } = seen(head);
      if (!result.intact || (revision === result.entries && hash === result.head)) return result;
      const problem = `the head of the store says revision ${revision}, and the last entry is ${result.entries}`;
      return { intact: false, entries: result.entries, brokenAtRevision: result.entries, problem };
    }
  }
}

function entryOf(environment: string, { number: revision, fields }: StreamEntry): JournalEntry {
  return entryOfRow({
    environment,
    revision,
    at_ms: Number(fields['at']),
    actor: fields['actor'],
    action: fields['action'],
    reason: fields['reason'],
    changes: fields['changes'],
    previous_hash: fields['previous'],
    hash: fields['hash'],
  });
}
