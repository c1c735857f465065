/** Checks a stream of records while it passes: the journal's hash chain, the documents against it, and a digest over all of it. */
import { createHash } from 'node:crypto';
import { AppError } from '@understudy/core/errors';
import { canonicalJson } from './canonical-json.ts';
import { type JournalChecker, openJournalChecker } from './journal-check.ts';
import { documentOfRow, entryOfRow } from './rows.ts';
import type { DumpRecord } from './store-dump.ts';
import type { StoredDocument } from './store.ts';

/** What has passed. Two stores with equal digests hold the same, to the letter. */
export interface DumpSummary {
  readonly records: number;
  readonly sha256: string;
  readonly environments: readonly { readonly environment: string; readonly revision: number; readonly head: string }[];
}

interface OpenEnvironment {
  readonly environment: string;
  readonly revision: number;
  readonly hash: string;
  readonly checker: JournalChecker;
  readonly documents: StoredDocument[];
}

/**
 * Hands the records on and gives their summary at the end.
 * @param onRecord is told how many have passed
 * @throws AppError `store.corrupt` where the records do not add up
 */
export async function* checked(
  records: AsyncIterable<DumpRecord>,
  onRecord: (count: number) => void,
): AsyncGenerator<DumpRecord, DumpSummary> {
  const digest = createHash('sha256');
  const environments: { environment: string; revision: number; head: string }[] = [];
  let open: OpenEnvironment | undefined;
  let count = 0;
  const close = (): void => {
    if (open !== undefined) environments.push(finish(open));
    open = undefined;
  };
  for await (const record of records) {
    if (record.table === 'environment' || record.table === 'secrets') close();
    if (record.table === 'environment') open = begin(record);
    else if (record.table !== 'secrets') accept(open, record);
    digest.update(`${canonicalJson(record)}\n`);
    count += 1;
    onRecord(count);
    yield record;
  }
  close();
  return { records: count, sha256: digest.digest('hex'), environments };
}

function begin({
  environment,
  revision,
  hash,
}: {
  readonly environment: string;
  readonly revision: number;
  readonly hash: string;
}) {
  return { environment, revision, hash, checker: openJournalChecker(), documents: [] };
}

function accept(open: OpenEnvironment | undefined, record: Exclude<DumpRecord, { table: 'environment' | 'secrets' }>): void {
  if (open?.environment !== record.environment) throw damaged(record.environment, 'its records stand in the wrong place');
  if (record.table === 'journal') {
    const { table: _, ...row } = record;
    if (!open.checker.accept(() => entryOfRow(row))) throw damaged(record.environment, problemOf(open.checker));
  }
  if (record.table === 'documents') {
    const { table: _, environment: __, ...row } = record;
    open.documents.push(documentOfRow(row));
  }
}

function finish({ environment, revision, hash, checker, documents }: OpenEnvironment) {
  const result = checker.finish(() => documents);
  if (!result.intact) throw damaged(environment, problemOf(checker));
  if (result.head !== hash || result.entries !== revision) {
    throw damaged(environment, `its journal ends at revision ${result.entries}, and its head is at ${revision}`);
  }
  return { environment, revision, head: hash };
}

function problemOf(checker: JournalChecker): string {
  const result = checker.result();
  return result.intact ? 'its journal is not what it was' : `journal entry ${result.brokenAtRevision}: ${result.problem}`;
}

function damaged(environment: string, problem: string): AppError {
  const fix = 'keep a copy of it as it is, and use an older backup';
  return new AppError('store.corrupt', `the environment "${environment}" does not add up: ${problem}; ${fix}`);
}
