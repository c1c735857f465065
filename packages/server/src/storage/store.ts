/**
 * The port to durable state: documents at a revision, one journal, evidence. Every backend passes the same contract
 * suite (`store-contract.ts`); commands, control API and engine depend on nothing more than this.
 */
import type { StoredBlock } from '@understudy/core/evidence-pool';
import type { FeedbackMark, FeedbackSum } from '@understudy/core/feedback';
import type { Decision } from '@understudy/core/rollout';
import type { GatewayReport, Readiness, ServiceReport, Standing } from '@understudy/contract/report';

/** The kinds of documents an environment is made of. */
export type DocumentKind =
  | 'model'
  | 'version'
  | 'rollout'
  | 'plan'
  | 'token'
  | 'flag'
  | 'segment'
  | 'freeze'
  | 'hook'
  | 'gateway';

/** Anything that JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A document as stored. `revision` is that of the commit that wrote it. */
export interface StoredDocument {
  readonly kind: DocumentKind;
  readonly id: string;
  readonly revision: number;
  readonly body: Json;
}

/** One document's new content; `body: undefined` deletes it. */
export interface Write {
  readonly kind: DocumentKind;
  readonly id: string;
  /** The revision the document was read at; 0 when it must not exist yet. */
  readonly expectedRevision: number;
  readonly body: Json | undefined;
}

/** One atomic change. Everything in it happens, or nothing. */
export interface Commit {
  readonly environment: string;
  readonly writes: readonly Write[];
  /** Who and why, for the journal. `action` is a `noun.verb` such as `rollout.advanced`. */
  readonly actor: string;
  readonly action: string;
  readonly reason: string;
  readonly atMs: number;
  /** Stored when given; at most one per rollout and evaluation window, whoever decides. */
  readonly decision?: { readonly rollout: string; readonly window: number; readonly decision: Decision };
  /** Makes the change happen once for each key; `answer` is what a repeated call gets back. */
  readonly idempotency?: IdempotencyRecord;
}

/** The answer to a mutating call, kept under the key that the caller chose. */
export interface IdempotencyRecord {
  readonly key: string;
  /** Digest of the request, so that a key cannot be used for another one. */
  readonly request: string;
  readonly answer: Json;
}

/** What came of a commit. Only `committed` changed anything. */
export type CommitResult =
  | { readonly outcome: 'committed'; readonly revision: number }
  | {
      readonly outcome: 'conflict';
      readonly kind: DocumentKind;
      readonly id: string;
      readonly expectedRevision: number;
      readonly actualRevision: number;
    }
  | { readonly outcome: 'already-decided'; readonly rollout: string; readonly window: number }
  | { readonly outcome: 'replayed'; readonly record: IdempotencyRecord };

/** One line of the journal: the audit log, the change feed and the history in one. */
export interface JournalEntry {
  readonly environment: string;
  /** Counts commits of the environment from 1. */
  readonly revision: number;
  readonly atMs: number;
  readonly actor: string;
  readonly action: string;
  readonly reason: string;
  readonly changes: readonly JournalChange[];
  /** SHA-256 over the previous entry's hash and this entry's content, in lower-case hexadecimal. */
  readonly previousHash: string;
  readonly hash: string;
}

/** A document before and after; null where it did not exist. */
export interface JournalChange {
  readonly kind: DocumentKind;
  readonly id: string;
  readonly before: Json;
  readonly after: Json;
}

/** Which part of the journal. Newest first when `order` says so. */
export interface JournalQuery {
  readonly afterRevision?: number;
  readonly beforeRevision?: number;
  /** Only entries that change this document. */
  readonly subject?: { readonly kind: DocumentKind; readonly id: string };
  readonly order?: 'oldest-first' | 'newest-first';
  readonly limit: number;
}

/** The result of checking every hash of an environment's journal. */
export type JournalCheck =
  | { readonly intact: true; readonly entries: number; readonly head: string }
  | { readonly intact: false; readonly entries: number; readonly brokenAtRevision: number; readonly problem: string };

/** A decision as stored. */
export interface StoredDecision {
  readonly rollout: string;
  readonly window: number;
  readonly revision: number;
  readonly atMs: number;
  readonly decision: Decision;
}

/** Evidence in the order it was stored. `cursor` grows with each report, and within an environment `seenAtMs` never falls. */
export interface StoredEvidence extends StoredBlock {
  readonly cursor: number;
}

/** Which evidence: after a cursor (0 for all), of one model when given, of reports that were stored at `sinceMs` or later. */
export interface EvidenceQuery {
  readonly afterCursor: number;
  readonly model?: string;
  readonly sinceMs?: number;
  readonly limit: number;
}

/** Feedback on requests of one model in some cohorts: from the first one to the last one, both included. */
export interface FeedbackQuery {
  readonly model: string;
  readonly fromCohort: number;
  readonly toCohort: number;
}

/** What may be forgotten: all that is older than this. */
export interface PruneBounds {
  /** By when evidence began. */
  readonly evidenceMs: number;
  /** By when the requests were that something was said of, to the cohort. */
  readonly feedbackMs: number;
  /** By when idempotency records were stored. */
  readonly idempotencyMs: number;
}

/** A gateway as last heard of. */
export interface GatewayStatus {
  readonly gateway: string;
  readonly boot: string;
  readonly revision: number;
  readonly seenAtMs: number;
  readonly readiness: readonly Readiness[];
  /** Absent for gateways of releases that did not tell. */
  readonly standing?: Standing;
}

/** All documents of an environment as they are at one revision. */
export interface EnvironmentDocuments {
  readonly revision: number;
  readonly documents: readonly StoredDocument[];
}

/**
 * Durable state. Reads see committed state only; {@link Store.commit} resolves after the change is on stable storage.
 * Every method throws AppError `store.write_failed`, `store.busy` or `store.corrupt` when the backend cannot do it.
 */
export interface Store {
  /** Applies one change, or says why nothing was changed. Never partly. */
  commit(commit: Commit): Promise<CommitResult>;
  read(environment: string, kind: DocumentKind, id: string): Promise<StoredDocument | undefined>;
  /** Documents of one kind, by id. `prefix` narrows to ids that begin with it. */
  list(environment: string, kind: DocumentKind, prefix?: string): Promise<readonly StoredDocument[]>;
  /** Every document of the environment at one revision, consistently. */
  readAll(environment: string): Promise<EnvironmentDocuments>;
  /** The revision of the environment's last commit; 0 before the first. */
  revision(environment: string): Promise<number>;
  findIdempotent(environment: string, key: string): Promise<IdempotencyRecord | undefined>;
  journal(environment: string, query: JournalQuery): Promise<readonly JournalEntry[]>;
  verifyJournal(environment: string): Promise<JournalCheck>;
  /** Decisions on a rollout, newest first. */
  decisions(environment: string, rollout: string, limit: number): Promise<readonly StoredDecision[]>;
  /**
   * Stores a report once; a repeated one changes nothing. A gateway's status is that of its newest report; a
   * service's report makes no gateway known. Evidence that a
   * clock set back would place before what is stored already counts as seen together with the newest.
   */
  appendReport(environment: string, report: GatewayReport | ServiceReport, seenAtMs: number): Promise<'stored' | 'duplicate'>;
  /**
   * From now on evidence counts as seen at this moment or later, whenever a report's own control plane says that it came: who reads
   * after this has everything that will ever have been seen before. A moment before one that was given already changes nothing.
   */
  sealEvidence(environment: string, atMs: number): Promise<void>;
  /** Evidence after a cursor, oldest first. */
  evidence(environment: string, query: EvidenceQuery): Promise<readonly StoredEvidence[]>;
  gateways(environment: string): Promise<readonly GatewayStatus[]>;
  /**
   * Keeps what was said of requests: of one request and name, what was given last, and of what was given at one moment the
   * last to come. The same mark twice changes nothing.
   */
  saveFeedback(environment: string, marks: readonly FeedbackMark[]): Promise<void>;
  /** Sums of what was last said, by cohort, place, name and lag, in the order of cohorts. */
  feedback(environment: string, query: FeedbackQuery): Promise<readonly FeedbackSum[]>;
  /** Deletes what is older than asked, and says how much. */
  prune(environment: string, before: PruneBounds): Promise<{ readonly evidence: number; readonly idempotency: number }>;
  /** Calls back soon after each commit of this process. A hint to read again, never the truth. */
  onCommit(listener: (environment: string, revision: number) => void): () => void;
  close(): Promise<void>;
}
