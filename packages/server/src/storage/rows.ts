/** Schemas of the rows that a backend reads back. A row is outside data until one of these has parsed it. */
import { AppError } from '@understudy/core/errors';
import type { EvidenceBlock } from '@understudy/core/evidence';
import { cohortOf, type FeedbackMark, type FeedbackSum, lagClassOf } from '@understudy/core/feedback';
import { DecisionSchema } from '@understudy/contract/rollout-documents';
import { EvidenceBlockSchema, type GatewayReport, ReadinessSchema, StandingSchema } from '@understudy/contract/report';
import { z } from 'zod';
import { jsonText } from './canonical-json.ts';
import type {
  DocumentKind,
  GatewayStatus,
  IdempotencyRecord,
  Json,
  JournalChange,
  JournalEntry,
  StoredDecision,
  StoredDocument,
  StoredEvidence,
} from './store.ts';
import { RESTORE_HINT } from './restore-hint.ts';

const KindSchema: z.ZodType<DocumentKind> = z.enum([
  'model',
  'version',
  'rollout',
  'plan',
  'token',
  'flag',
  'segment',
  'freeze',
  'hook',
  'gateway',
]);
// What JSON.parse returns is JSON; the schemas above this level say which.
const JsonSchema = z.custom<Json>((value) => value !== undefined);
const Sha = z.string().length(64);

/** Text of a column that holds JSON. */
export const JsonText = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'not JSON' });
    return z.NEVER;
  }
});

const DocumentRow = z.strictObject({
  kind: KindSchema,
  id: z.string(),
  revision: z.int().positive(),
  body: JsonText.pipe(JsonSchema),
});

const ChangeSchema: z.ZodType<JournalChange> = z.strictObject({
  kind: KindSchema,
  id: z.string(),
  before: JsonSchema,
  after: JsonSchema,
});

const JournalRow = z
  .strictObject({
    environment: z.string(),
    revision: z.int().positive(),
    at_ms: z.number(),
    actor: z.string(),
    action: z.string(),
    reason: z.string(),
    changes: JsonText.pipe(z.array(ChangeSchema)),
    previous_hash: Sha,
    hash: Sha,
  })
  .transform(({ at_ms: atMs, previous_hash: previousHash, ...rest }) => ({ ...rest, atMs, previousHash }));

const DecisionRow = z
  .strictObject({
    rollout: z.string(),
    window: z.int(),
    revision: z.int().positive(),
    at_ms: z.number(),
    decision: JsonText.pipe(DecisionSchema),
  })
  .transform(({ at_ms: atMs, ...rest }) => ({ ...rest, atMs }));

// Rollouts and watches read the blocks that this process has just stored; some seconds of a hundred gateways.
const MOST_REMEMBERED = 5000;
const remembered = new Map<string, EvidenceBlock>();

function remember(text: string, block: EvidenceBlock): void {
  if (remembered.size >= MOST_REMEMBERED) remembered.delete(remembered.keys().next().value ?? '');
  remembered.set(text, block);
}

/** The text of a block, as its row has it. Whoever reads it soon gets the block without parsing it: blocks never change. */
export function blockText(block: EvidenceBlock): string {
  const text = jsonText(block);
  remember(text, block);
  return text;
}

/** The block of a text, parsed once for those who read it soon after one another. */
const BlockText = z.string().transform((text, context): EvidenceBlock => {
  const known = remembered.get(text);
  if (known !== undefined) return known;
  const parsed = JsonText.pipe(EvidenceBlockSchema).safeParse(text);
  if (!parsed.success) {
    for (const { message, path } of parsed.error.issues) context.addIssue({ code: 'custom', message, path: [...path] });
    return z.NEVER;
  }
  remember(text, parsed.data);
  return parsed.data;
});

const EvidenceRow = z
  .strictObject({ cursor: z.int().positive(), seen_at_ms: z.number(), block: BlockText })
  .transform(({ seen_at_ms: seenAtMs, ...rest }) => ({ ...rest, seenAtMs }));

const FeedbackSumRow = z
  .strictObject({
    cohort: z.int(),
    version: z.string(),
    arm: z.enum(['champion', 'challenger', 'shadow']),
    rollout: z.string(),
    step: z.int(),
    name: z.string(),
    lag: z.int(),
    count: z.int(),
    sum: z.number(),
    sum_squares: z.number(),
  })
  .transform(({ rollout, step, count, sum, sum_squares: sumSquares, ...rest }): FeedbackSum => {
    const trial = rollout === '' ? {} : { rollout, step };
    return { ...rest, ...trial, moments: { count, sum, sumSquares } };
  });

/** Earlier releases kept the readiness alone. */
const GatewayState = z.union([
  z.array(ReadinessSchema).transform((readiness) => ({ readiness })),
  z.strictObject({ readiness: z.array(ReadinessSchema), standing: StandingSchema.exactOptional() }),
]);

const GatewayRow = z
  .strictObject({
    gateway: z.string(),
    boot: z.string(),
    revision: z.int().nonnegative(),
    seen_at_ms: z.number(),
    readiness: JsonText.pipe(GatewayState),
  })
  .transform(({ seen_at_ms: seenAtMs, readiness: state, ...rest }): GatewayStatus => ({ ...rest, seenAtMs, ...state }));

/** The text of a gateway's state, as its row has it. */
export function gatewayStateText({ readiness, standing }: GatewayReport): string {
  return jsonText(standing === undefined ? { readiness } : { readiness, standing });
}

const IdempotencyRow = z.strictObject({ key: z.string(), request: z.string(), answer: JsonText.pipe(JsonSchema) });
const HeadRow = z.strictObject({ revision: z.int().positive(), hash: Sha });

export function documentOfRow(row: unknown): StoredDocument {
  return parseRow('documents', DocumentRow, row);
}

export function entryOfRow(row: unknown): JournalEntry {
  return parseRow('journal', JournalRow, row);
}

export function decisionOfRow(row: unknown): StoredDecision {
  return parseRow('decisions', DecisionRow, row);
}

export function evidenceOfRow(row: unknown): StoredEvidence {
  return parseRow('evidence', EvidenceRow, row);
}

export function feedbackSumOfRow(row: unknown): FeedbackSum {
  return parseRow('feedback', FeedbackSumRow, row);
}

/** The columns of one mark but the environment; sums are read back by {@link feedbackSumOfRow}. */
export function rowOfMark({ rollout = '', step = -1, requestAtMs, givenAtMs, ...mark }: FeedbackMark) {
  const [cohort, lag] = [cohortOf(requestAtMs), lagClassOf(givenAtMs - requestAtMs)];
  return { ...mark, rollout, step, cohort, lag, given_at_ms: givenAtMs };
}

export function gatewayOfRow(row: unknown): GatewayStatus {
  return parseRow('gateways', GatewayRow, row);
}

export function idempotencyOfRow(row: unknown): IdempotencyRecord {
  return parseRow('idempotency', IdempotencyRow, row);
}

/** The last revision of an environment and the hash of its journal entry. */
export function headOfRow(row: unknown): { readonly revision: number; readonly hash: string } {
  return parseRow('journal', HeadRow, row);
}

function parseRow<T>(table: string, schema: z.ZodType<T>, row: unknown): T {
  const parsed = schema.safeParse(row);
  if (parsed.success) return parsed.data;
  throw new AppError(
    'store.corrupt',
    `cannot read a row of "${table}": ${z.prettifyError(parsed.error)}; ${RESTORE_HINT}, or run the release that wrote it`,
    { cause: parsed.error },
  );
}
