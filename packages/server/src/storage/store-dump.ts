/**
 * Everything in a store as a stream of records, the same whatever the backend. Copies and backups are made of it. Texts
 * that the store holds as JSON stay the texts they are, so that hashes still match.
 */
import { z } from 'zod';

const Text = z.string();
const Milliseconds = z.number();
const Count = z.int().nonnegative();

const HeadRecord = z.strictObject({ table: z.literal('environment'), environment: Text, revision: Count, hash: Text });
const JournalRecord = z.strictObject({
  table: z.literal('journal'),
  environment: Text,
  revision: z.int().positive(),
  at_ms: Milliseconds,
  actor: Text,
  action: Text,
  reason: Text,
  changes: Text,
  previous_hash: Text,
  hash: Text,
});
const DocumentRecord = z.strictObject({
  table: z.literal('documents'),
  environment: Text,
  kind: Text,
  id: Text,
  revision: z.int().positive(),
  body: Text,
});
const DecisionRecord = z.strictObject({
  table: z.literal('decisions'),
  environment: Text,
  rollout: Text,
  window: z.int(),
  revision: z.int().positive(),
  at_ms: Milliseconds,
  decision: Text,
});
const IdempotencyRecord = z.strictObject({
  table: z.literal('idempotency'),
  environment: Text,
  key: Text,
  request: Text,
  answer: Text,
  at_ms: Milliseconds,
});
const ReportRecord = z.strictObject({
  table: z.literal('reports'),
  environment: Text,
  gateway: Text,
  boot: Text,
  sequence: Count,
  seen_at_ms: Milliseconds,
});
/** In the order of cursors. The cursors themselves are the backend's own. */
const EvidenceRecord = z.strictObject({
  table: z.literal('evidence'),
  environment: Text,
  model: Text,
  start_ms: Milliseconds,
  seen_at_ms: Milliseconds,
  block: Text,
});
const FeedbackRecord = z.strictObject({
  table: z.literal('feedback'),
  environment: Text,
  model: Text,
  cohort: z.int(),
  request: Text,
  name: Text,
  version: Text,
  arm: Text,
  rollout: Text,
  step: z.int(),
  lag: Count,
  value: z.number(),
  given_at_ms: Milliseconds,
});
const GatewayRecord = z.strictObject({
  table: z.literal('gateways'),
  environment: Text,
  gateway: Text,
  boot: Text,
  sequence: Count,
  revision: Count,
  seen_at_ms: Milliseconds,
  readiness: Text,
});
const SecretRecord = z.strictObject({ table: z.literal('secrets'), name: Text, value: z.base64() });

/** One row. An environment comes before all that belongs to it, and its journal before its documents. */
export const DumpRecord = z.discriminatedUnion('table', [
  HeadRecord,
  JournalRecord,
  DocumentRecord,
  DecisionRecord,
  IdempotencyRecord,
  ReportRecord,
  EvidenceRecord,
  FeedbackRecord,
  GatewayRecord,
  SecretRecord,
]);
export type DumpRecord = z.infer<typeof DumpRecord>;
export type DumpTable = DumpRecord['table'];

/** Tables with rows of an environment, in the order of a dump. */
export const ENVIRONMENT_TABLES = [
  'journal',
  'documents',
  'decisions',
  'idempotency',
  'reports',
  'evidence',
  'feedback',
  'gateways',
] as const;
export type EnvironmentTable = (typeof ENVIRONMENT_TABLES)[number];

/** A store that can be emptied into, or filled from, a stream of records. */
export interface DumpableStore {
  /** The address without passwords. */
  readonly shown: string;
  /** Everything as it is at one moment. */
  dump(): AsyncIterable<DumpRecord>;
  /**
   * Takes everything, or nothing when the stream throws.
   * @throws AppError `store.not_empty` when the store holds anything
   */
  load(records: AsyncIterable<DumpRecord>): Promise<void>;
  close(): Promise<void>;
}

// Rows read or written at once; documents and blocks are some kilobytes each.
export const ROWS_AT_ONCE = 500;

/** Columns of a table by which its rows are ordered, and read on after the last one. */
export const ORDER_OF: Readonly<Record<EnvironmentTable, readonly string[]>> = {
  journal: ['revision'],
  documents: ['kind', 'id'],
  decisions: ['revision', 'rollout', 'window'],
  idempotency: ['key'],
  reports: ['gateway', 'boot', 'sequence'],
  evidence: ['cursor'],
  feedback: ['model', 'cohort', 'request', 'name'],
  gateways: ['gateway'],
};

/** Columns of a table but the environment, as in its record. */
export function columnsOf(table: EnvironmentTable): readonly string[] {
  const record = DumpRecord.options.find((option) => option.shape.table.value === table);
  return Object.keys(record?.shape ?? {}).filter((name) => name !== 'table' && name !== 'environment');
}
