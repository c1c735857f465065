/** What a Redis store reads of documents, decisions and idempotency keys. */
import { byBytes } from './byte-order.ts';
import { recordOf } from './redis-commit.ts';
import type { HeadWatch } from './redis-head.ts';
import { DOCUMENT_KINDS, keysOf } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { documentOf, hashOf, streamOf, textOf } from './redis-replies.ts';
import { decisionOfRow } from './rows.ts';
import type { DocumentKind, Store, StoredDocument } from './store.ts';

type Reads = 'read' | 'list' | 'readAll' | 'revision' | 'findIdempotent' | 'decisions';

export function openDocuments(link: RedisLink, heads: HeadWatch): Pick<Store, Reads> {
  return {
    read: async (environment, kind, id) => {
      const [reply] = await link.send(`read ${kind} "${id}"`, [['hget', keysOf(environment).documents(kind), id]]);
      const text = textOf(reply);
      return text === undefined ? undefined : documentOf(kind, id, text);
    },
    list: async (environment, kind, prefix = '') => {
      const [reply] = await link.send(`list each ${kind}`, [['hgetall', keysOf(environment).documents(kind)]]);
      return documentsOf(kind, reply, prefix);
    },
    readAll: async (environment) => {
      const keys = keysOf(environment);
      const seen = heads.ask(environment);
      const [head, ...kinds] = await link.readTogether('read all documents', [
        ['get', keys.head],
        ...DOCUMENT_KINDS.map((kind) => ['hgetall', keys.documents(kind)] as const),
      ]);
      return { revision: seen(head).revision, documents: allDocumentsOf(kinds) };
    },
    revision: async (environment) => {
      const seen = heads.ask(environment);
      const [head] = await link.send('read the revision', [['get', keysOf(environment).head]]);
      return seen(head).revision;
    },
    findIdempotent: async (environment, key) => {
      const [reply] = await link.send('look up an idempotency key', [['hget', keysOf(environment).idempotency, key]]);
      const text = textOf(reply);
      return text === undefined ? undefined : recordOf(key, text);
    },
    decisions: async (environment, rollout, limit) => {
      if (limit <= 0) return [];
      const key = keysOf(environment).decisions(rollout);
      const [reply] = await link.send('read decisions', [['xrevrange', key, '+', '-', 'COUNT', String(limit)]]);
      return streamOf(reply).map(({ number: revision, fields }) =>
        decisionOfRow({
          rollout,
          window: Number(fields['window']),
          revision,
          at_ms: Number(fields['at']),
          decision: fields['decision'],
        }),
      );
    },
  };
}

/** The answers to HGETALL for every kind, in the order of {@link DOCUMENT_KINDS}. */
export function allDocumentsOf(replies: readonly unknown[]): readonly StoredDocument[] {
  return DOCUMENT_KINDS.flatMap((kind, index) => documentsOf(kind, replies[index], ''));
}

function documentsOf(kind: DocumentKind, reply: unknown, prefix: string): readonly StoredDocument[] {
  return hashOf(reply)
    .filter(([id]) => id.startsWith(prefix))
    .toSorted(([a], [b]) => byBytes(a, b))
    .map(([id, text]) => documentOf(kind, id, text));
}
