/** Takes flags and segments over from another system, all in one change. */
import { FlagSchema, SegmentSchema } from '@understudy/contract/flag-documents';
import { describeProblems } from '@understudy/contract/problems';
import { AppError } from '@understudy/core/errors';
import type { Flag } from '@understudy/core/flags/flag';
import type { Import, Loss } from '@understudy/core/flags/import-report';
import type { Segment } from '@understudy/core/flags/segment';
import type { z } from 'zod';
import { type Caller, type CommandContext, runCommand } from './command.ts';
import { documentsOf, type FlagLibrary, loadFlagLibrary, problemsIn } from './flag-library.ts';
import { create, type Held, type QueryContext, replace, sameContent } from './queries.ts';
import type { Receipt } from './receipt.ts';

/** What an import would write. */
export interface ImportPlan {
  readonly flags: readonly Flag[];
  readonly segments: readonly Segment[];
  /** Keys of documents that exist and are different. */
  readonly replaced: readonly string[];
  readonly losses: readonly Loss[];
  /** What cannot be stored, and why. */
  readonly leftOut: readonly Loss[];
}

export async function planImport(context: QueryContext, imported: Import): Promise<ImportPlan> {
  return planWith(await loadFlagLibrary(context), imported);
}

/**
 * Writes what {@link planImport} says.
 * @throws AppError `flag.already_exists` when flags or segments would be replaced and `replace` is false; nothing is written
 */
export async function importFlags(
  context: CommandContext,
  caller: Caller,
  input: { readonly imported: Import; readonly from: string; readonly replace: boolean; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const library = await loadFlagLibrary(context);
    const { flags, segments, replaced } = planWith(library, input.imported);
    if (replaced.length > 0 && !input.replace) {
      const names = replaced
        .slice(0, 20)
        .map((key) => `"${key}"`)
        .join(', ');
      throw new AppError(
        'flag.already_exists',
        `cannot import from ${input.from}: ${replaced.length} of them exist here and are different (${names}); ask for them to be replaced, or delete them`,
      );
    }
    const flagWrites = flags.filter(isNew(library.flags)).map((flag) => write('flag', library.flags, flag));
    const segmentWrites = segments.filter(isNew(library.segments)).map((one) => write('segment', library.segments, one));
    const writes = [...segmentWrites, ...flagWrites];
    const id = input.from;
    if (writes.length === 0) return { nothing: { outcome: 'already-done', message: 'everything is here as it is there', id } };
    const message = `imported ${count(flagWrites.length, 'flag')} and ${count(segmentWrites.length, 'segment')} from ${input.from}`;
    return {
      commit: { writes, action: 'flags.imported', reason: input.reason },
      receipt: { outcome: 'done', message, id },
    };
  });
}

function planWith(library: FlagLibrary, imported: Import): ImportPlan {
  const leftOut: Loss[] = [];
  const flags = imported.flags.filter((flag) => {
    const model = library.reservedFor.get(flag.key);
    const sentence =
      model === undefined
        ? misfitOf(FlagSchema, flag)
        : `The key belongs to a flag that follows the rollouts of model "${model}".`;
    if (sentence !== undefined) leftOut.push({ about: flag.key, sentence });
    return sentence === undefined;
  });
  const segments = imported.segments.filter((segment) => {
    const sentence = misfitOf(SegmentSchema, segment);
    if (sentence !== undefined) leftOut.push({ about: segment.key, sentence });
    return sentence === undefined;
  });
  return {
    flags,
    segments,
    replaced: [
      ...flags.filter(isNew(library.flags)).filter(({ key }) => library.flags.some(({ id }) => id === key)),
      ...segments.filter(isNew(library.segments)).filter(({ key }) => library.segments.some(({ id }) => id === key)),
    ].map(({ key }) => key),
    losses: [...imported.losses, ...problemsAfter(library, { flags, segments })],
    leftOut,
  };
}

/** Why a document cannot be stored here. */
function misfitOf(schema: z.ZodType, document: { readonly key: string }): string | undefined {
  if (document.key === '.' || document.key === '..') return 'Addresses do not keep this key.';
  const parsed = schema.safeParse(JSON.parse(JSON.stringify(document)));
  return parsed.success ? undefined : `It does not fit: ${describeProblems(parsed.error)}.`;
}

/** What does not work there does not work here either: it is said, and taken over. */
function problemsAfter(
  library: FlagLibrary,
  { flags, segments }: { flags: readonly Flag[]; segments: readonly Segment[] },
): readonly Loss[] {
  const before = documentsOf(library);
  const keys = new Set(flags.map(({ key }) => key));
  const segmentKeys = new Set(segments.map(({ key }) => key));
  const problems = problemsIn({
    flags: [...before.flags.filter(({ key }) => !keys.has(key)), ...flags],
    segments: [...before.segments.filter(({ key }) => !segmentKeys.has(key)), ...segments],
  });
  const known = new Set(problemsIn(before).map(({ where, problem }) => `${where}: ${problem}`));
  return problems
    .filter(({ where, problem }) => !known.has(`${where}: ${problem}`))
    .map(({ where, problem }) => ({
      about: /"(.*)"$/s.exec(where)?.[1] ?? where,
      sentence: `It will not do what it says: ${problem}.`,
    }));
}

function isNew<Body extends { readonly key: string }>(held: readonly Held<Body>[]): (document: Body) => boolean {
  return (document) => !held.some(({ id, body }) => id === document.key && sameContent(body, document));
}

function write<Body extends { readonly key: string }>(kind: 'flag' | 'segment', held: readonly Held<Body>[], document: Body) {
  const known = held.find(({ id }) => id === document.key);
  return known === undefined ? create(kind, document.key, document) : replace(kind, known, document);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
