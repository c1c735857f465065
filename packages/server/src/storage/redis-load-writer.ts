/** Writes records of a dump under the names that a copy into Redis stages them with, many at once. Everything may be sent twice. */
import { randomUUID } from 'node:crypto';
import { recordText } from './redis-commit.ts';
import { feedbackRun } from './redis-feedback.ts';
import { type EnvironmentKeys, keysOf, stagedSecretsOf, stageOf } from './redis-keys.ts';
import type { RedisCommand, RedisLink } from './redis-link.ts';
import { documentText, headText, scoreOf } from './redis-replies.ts';
import { LOAD_STREAMS_SCRIPT } from './redis-scripts.ts';
import { documentOfRow, entryOfRow } from './rows.ts';
import { type DumpRecord, type DumpTable, ROWS_AT_ONCE } from './store-dump.ts';

export interface LoadWriter {
  add(record: DumpRecord): Promise<void>;
  /** Writes what is left. */
  flush(): Promise<void>;
}

type RecordOf<Table extends DumpTable> = Extract<DumpRecord, { table: Table }>;

interface StreamItem {
  readonly key: string;
  readonly number: number;
  readonly fields: readonly string[];
}

interface Batch {
  readonly copy: string;
  readonly keys: EnvironmentKeys;
  readonly streams: StreamItem[];
  readonly commands: RedisCommand[];
  readonly feedback: RecordOf<'feedback'>[];
  records: number;
  characters: number;
}

const ATTEMPT = 'fill the store';
// Documents may be large: one sending takes so many characters, or as many rows as usual.
const CHARACTERS_AT_ONCE = 4 * 1024 * 1024;

/** @param copy names what is staged, so that it stays apart from what other copies stage */
export function openLoadWriter(link: RedisLink, copy: string): LoadWriter {
  let environment: string | undefined;
  let batch = newBatch(copy, '');
  // Cursors are given anew, from 1 in each environment.
  let cursor = 0;

  async function flush(): Promise<void> {
    const { keys, streams, feedback, commands } = batch;
    batch = newBatch(copy, environment ?? '');
    if (streams.length > 0) {
      const args = streams.flatMap(({ number, fields }) => [String(number), String(fields.length), ...fields]);
      await link.run(ATTEMPT, { script: LOAD_STREAMS_SCRIPT, keys: streams.map(({ key }) => key), args });
    }
    if (feedback.length > 0) await link.run(ATTEMPT, feedbackRun(keys, feedback));
    if (commands.length > 0) await link.send(ATTEMPT, commands);
  }

  return {
    flush,
    add: async (record) => {
      const own = record.table === 'secrets' ? undefined : record.environment;
      if (own !== environment) {
        await flush();
        environment = own;
        batch = newBatch(copy, own ?? '');
        cursor = 0;
      }
      if (record.table === 'evidence') addEvidence(batch, record, (cursor += 1));
      else addTo(batch, record);
      batch.records += 1;
      if (batch.records >= ROWS_AT_ONCE || batch.characters >= CHARACTERS_AT_ONCE) await flush();
    },
  };
}

function newBatch(copy: string, environment: string): Batch {
  return { copy, keys: keysOf(environment, stageOf(copy)), streams: [], commands: [], feedback: [], records: 0, characters: 0 };
}

function addTo(batch: Batch, record: Exclude<DumpRecord, { table: 'evidence' }>): void {
  const { keys, commands } = batch;
  switch (record.table) {
    case 'environment':
      if (record.revision > 0) commands.push(['set', keys.head, headText(record.revision, record.hash)]);
      return;
    case 'journal':
      return addEntry(batch, record);
    case 'documents':
      return addDocument(batch, record);
    case 'decisions':
      return addDecision(batch, record);
    case 'idempotency':
      commands.push(['hset', keys.idempotency, record.key, recordText(record)]);
      commands.push(['zadd', keys.idempotencyAges, scoreOf(record.at_ms), record.key]);
      return;
    case 'reports': {
      const name = JSON.stringify([record.gateway, record.boot, record.sequence]);
      commands.push(['zadd', keys.reports, scoreOf(record.seen_at_ms), name]);
      return;
    }
    case 'feedback':
      batch.feedback.push(record);
      return;
    case 'gateways':
      return addGateway(batch, record);
    case 'secrets':
      commands.push(['hset', stagedSecretsOf(batch.copy), record.name, record.value]);
      return;
  }
}

function addEntry(batch: Batch, { table: _table, ...row }: RecordOf<'journal'>): void {
  const { revision, at_ms, actor, action, reason, changes, previous_hash, hash } = row;
  const fields = ['commit', randomUUID(), 'at', scoreOf(at_ms), 'actor', actor, 'action', action, 'reason', reason];
  fields.push('changes', changes, 'previous', previous_hash, 'hash', hash);
  batch.streams.push({ key: batch.keys.journal, number: revision, fields });
  for (const { kind, id } of entryOfRow(row).changes) {
    batch.commands.push(['zadd', batch.keys.history(kind, id), String(revision), String(revision)]);
  }
  batch.characters += changes.length;
}

function addDocument(batch: Batch, { table: _table, environment: _environment, ...row }: RecordOf<'documents'>): void {
  const { kind } = documentOfRow(row);
  batch.commands.push(['hset', batch.keys.documents(kind), row.id, documentText(row.revision, row.body)]);
  batch.characters += row.body.length;
}

function addDecision(batch: Batch, { rollout, window, revision, at_ms, decision }: RecordOf<'decisions'>): void {
  const fields = ['window', String(window), 'at', scoreOf(at_ms), 'decision', decision];
  batch.streams.push({ key: batch.keys.decisions(rollout), number: revision, fields });
  batch.commands.push(['hset', batch.keys.windows(rollout), String(window), String(revision)]);
  batch.characters += decision.length;
}

function addEvidence(batch: Batch, record: RecordOf<'evidence'>, cursor: number): void {
  const { keys, streams, commands } = batch;
  const { model, start_ms, seen_at_ms, block } = record;
  const [name, seen] = [String(cursor).padStart(16, '0'), scoreOf(seen_at_ms)];
  streams.push({ key: keys.evidence(model), number: cursor, fields: ['seen', seen, 'block', block] });
  commands.push(['zadd', keys.evidenceSeen, seen, name], ['zadd', keys.evidenceStarts, scoreOf(start_ms), `${name} ${model}`]);
  commands.push(['sadd', keys.models, model], ['set', keys.cursor, String(cursor)]);
  batch.characters += block.length;
}

function addGateway({ keys, commands }: Batch, record: RecordOf<'gateways'>): void {
  const { gateway, boot, sequence, revision, seen_at_ms, readiness } = record;
  commands.push(['hset', keys.gateways, gateway, JSON.stringify({ boot, revision, seen_at_ms, readiness })]);
  commands.push(['hset', keys.gatewaySequences, gateway, `${sequence} ${boot}`]);
}
