/** The rows of each table of a dump, read from a Redis store in the order that every backend gives them. */
import { z } from 'zod';
import { byBytes } from './byte-order.ts';
import { recordPartsOf } from './redis-commit.ts';
import { evidenceOf, readBlocks } from './redis-evidence.ts';
import { readCohort } from './redis-feedback.ts';
import { cohortPartsOf } from './redis-forget.ts';
import { DOCUMENT_KINDS, keysOf } from './redis-keys.ts';
import type { RedisCommand, RedisLink } from './redis-link.ts';
import { documentPartsOf, hashOf, jsonOf, parseReply, streamOf, textOf, textsOf } from './redis-replies.ts';
import { type EnvironmentTable, ROWS_AT_ONCE } from './store-dump.ts';

/** Where rows are read. */
export interface Source {
  readonly link: RedisLink;
  readonly environment: string;
}

type ReadRows = (source: Source) => AsyncGenerator<object>;

/** The columns of each row but the environment. */
export const rowsOf: Readonly<Record<EnvironmentTable, ReadRows>> = {
  journal,
  documents,
  decisions,
  idempotency,
  reports,
  evidence,
  feedback,
  gateways,
};

const ATTEMPT = 'read the store';

async function* journal({ link, environment }: Source): AsyncGenerator<object> {
  for (let last = 0; ;) {
    const page = ['xrange', keysOf(environment).journal, `${last + 1}-0`, '+', 'COUNT', String(ROWS_AT_ONCE)] as const;
    const [reply] = await link.send(ATTEMPT, [page]);
    const entries = streamOf(reply);
    for (const { number: revision, fields } of entries) {
      const { at, actor, action, reason, changes, previous: previous_hash, hash } = fields;
      yield { revision, at_ms: Number(at), actor, action, reason, changes, previous_hash, hash };
      last = revision;
    }
    if (entries.length < ROWS_AT_ONCE) return;
  }
}

async function* documents({ link, environment }: Source): AsyncGenerator<object> {
  for (const kind of DOCUMENT_KINDS) {
    const [reply] = await link.send(ATTEMPT, [['hgetall', keysOf(environment).documents(kind)]]);
    for (const [id, text] of hashOf(reply).toSorted(([a], [b]) => byBytes(a, b))) yield { kind, id, ...documentPartsOf(text) };
  }
}

async function* decisions({ link, environment }: Source): AsyncGenerator<object> {
  const keys = keysOf(environment);
  const rollouts = new Set<string>();
  const prefix = keys.windows('');
  await link.scan(ATTEMPT, `${prefix}*`, (key) => key.startsWith(prefix) && rollouts.add(key.slice(prefix.length)));
  const found: { readonly rollout: string; readonly window: number; readonly revision: number }[] = [];
  for (const rollout of rollouts) {
    const [reply] = await link.send(ATTEMPT, [['hgetall', keys.windows(rollout)]]);
    for (const [window, revision] of hashOf(reply)) found.push({ rollout, window: Number(window), revision: Number(revision) });
  }
  found.sort((a, b) => a.revision - b.revision);
  for (const some of pagesOf(found)) {
    const commands = some.map(({ rollout, revision }): RedisCommand => {
      return ['xrange', keys.decisions(rollout), `${revision}-0`, `${revision}-0`];
    });
    const replies = await link.send(ATTEMPT, commands);
    for (const [index, row] of some.entries()) {
      const { at, decision } = streamOf(replies[index])[0]?.fields ?? {};
      yield { ...row, at_ms: Number(at), decision };
    }
  }
}

async function* idempotency({ link, environment }: Source): AsyncGenerator<object> {
  const keys = keysOf(environment);
  const found: { readonly key: string; readonly at_ms: number }[] = [];
  for await (const { name: key, score: at_ms } of scoresIn(link, keys.idempotencyAges)) found.push({ key, at_ms });
  found.sort((a, b) => byBytes(a.key, b.key));
  for (const some of pagesOf(found)) {
    const replies = await link.send(
      ATTEMPT,
      some.map(({ key }) => ['hget', keys.idempotency, key] as const),
    );
    for (const [index, row] of some.entries()) yield { ...row, ...recordPartsOf(textOf(replies[index]) ?? '') };
  }
}

const ReportName = z.tuple([z.string(), z.string(), z.int()]);

async function* reports({ link, environment }: Source): AsyncGenerator<object> {
  // Two numbers for each report: there may be a million of them.
  const boots = new Map<string, [sequence: number, seenAtMs: number][]>();
  for await (const { name, score } of scoresIn(link, keysOf(environment).reports)) {
    const [gateway, boot, sequence] = parseReply(ReportName, jsonOf(name));
    const key = JSON.stringify([gateway, boot]);
    const list = boots.get(key) ?? [];
    list.push([sequence, score]);
    boots.set(key, list);
  }
  const places = [...boots].map(([key, list]) => {
    const [gateway, boot] = parseReply(z.tuple([z.string(), z.string()]), jsonOf(key));
    return { gateway, boot, list };
  });
  for (const { gateway, boot, list } of places.toSorted((a, b) => byBytes(a.gateway, b.gateway) || byBytes(a.boot, b.boot))) {
    list.sort(([a], [b]) => a - b);
    for (const [sequence, seen_at_ms] of list) yield { gateway, boot, sequence, seen_at_ms };
  }
}

async function* evidence({ link, environment }: Source): AsyncGenerator<object> {
  for (let after = 0; ;) {
    const entries = await readBlocks(link, keysOf(environment), { after, limit: ROWS_AT_ONCE });
    for (const entry of entries) {
      const { cursor, seenAtMs, block } = evidenceOf(entry);
      yield { model: block.model, start_ms: block.startMs, seen_at_ms: seenAtMs, block: entry.fields['block'] };
      after = cursor;
    }
    if (entries.length < ROWS_AT_ONCE) return;
  }
}

async function* feedback({ link, environment }: Source): AsyncGenerator<object> {
  const keys = keysOf(environment);
  const cohorts: { readonly cohort: number; readonly model: string }[] = [];
  for await (const { name } of scoresIn(link, keys.feedbackCohorts)) cohorts.push(cohortPartsOf(name));
  for (const { model, cohort } of cohorts.toSorted((a, b) => byBytes(a.model, b.model) || a.cohort - b.cohort)) {
    for (const row of await readCohort(link, keys.feedback(model, cohort))) yield { model, cohort, ...row };
  }
}

const Status = z.strictObject({ boot: z.string(), revision: z.int(), seen_at_ms: z.number(), readiness: z.string() });

async function* gateways({ link, environment }: Source): AsyncGenerator<object> {
  const keys = keysOf(environment);
  const [statuses, sequences] = await link.readTogether(ATTEMPT, [
    ['hgetall', keys.gateways],
    ['hgetall', keys.gatewaySequences],
  ]);
  const sequenceOf = new Map(hashOf(sequences));
  for (const [gateway, text] of hashOf(statuses).toSorted(([a], [b]) => byBytes(a, b))) {
    const sequence = Number(sequenceOf.get(gateway)?.split(' ', 1)[0]);
    yield { gateway, sequence, ...parseReply(Status, jsonOf(text)) };
  }
}

/** Members of a sorted set with their scores. Exact: the server writes scores with as many digits as it takes. */
async function* scoresIn(link: RedisLink, key: string): AsyncGenerator<{ readonly name: string; readonly score: number }> {
  for (let start = 0; ; start += ROWS_AT_ONCE) {
    const page = [String(start), String(start + ROWS_AT_ONCE - 1)] as const;
    const [reply] = await link.send(ATTEMPT, [['zrange', key, ...page, 'WITHSCORES']]);
    const flat = textsOf(reply);
    for (let at = 0; at < flat.length; at += 2) yield { name: flat[at] ?? '', score: Number(flat[at + 1]) };
    if (flat.length < 2 * ROWS_AT_ONCE) return;
  }
}

function* pagesOf<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += ROWS_AT_ONCE) yield all.slice(start, start + ROWS_AT_ONCE);
}
