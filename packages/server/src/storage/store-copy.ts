/** Moves everything from one store to another, whatever their backends, and makes sure that it arrived. */
import { AppError } from '@understudy/core/errors';
import { checked, type DumpSummary } from './dump-check.ts';
import type { DumpableStore, DumpRecord } from './store-dump.ts';

/** Is told how many records have passed, from time to time. */
export type Progress = (phase: 'copying' | 'verifying', records: number) => void;

/**
 * Fills `to` with everything in `from`: all or nothing. What arrived is read back and compared to the letter.
 * @throws AppError `store.not_empty` when the target holds anything, `store.corrupt` when the source does not add up or
 *   the target gives back something else
 */
export async function copyStore(from: Pick<DumpableStore, 'dump'>, to: DumpableStore, progress: Progress): Promise<DumpSummary> {
  const sent = await fill(to, from.dump(), progress);
  const arrived = await summaryOf(to, progress);
  if (arrived.sha256 !== sent.sha256) {
    throw new AppError(
      'store.corrupt',
      `the store ${to.shown} gives back other records than it took (${arrived.records} of ${sent.records}); do not use it, and report this`,
    );
  }
  return sent;
}

async function fill(to: DumpableStore, source: AsyncIterable<DumpRecord>, progress: Progress): Promise<DumpSummary> {
  const { records, summary } = checkedRecords(source, progress);
  await to.load(records);
  return summary();
}

/** Records that are checked while somebody takes them; when all are taken there is a summary. */
export function checkedRecords(
  source: AsyncIterable<DumpRecord>,
  progress: Progress,
): { readonly records: AsyncIterable<DumpRecord>; readonly summary: () => DumpSummary } {
  let found: DumpSummary | undefined;
  async function* noted(): AsyncGenerator<DumpRecord> {
    found = yield* checked(source, (count) => progress('copying', count));
  }
  return {
    records: noted(),
    summary: () => {
      if (found === undefined) throw new Error('not all records were taken');
      return found;
    },
  };
}

/** Reads everything and checks it on the way. */
export async function summaryOf(store: Pick<DumpableStore, 'dump'>, progress: Progress): Promise<DumpSummary> {
  const records = checked(store.dump(), (count) => progress('verifying', count));
  for (;;) {
    const next = await records.next();
    if (next.done === true) return next.value;
  }
}
