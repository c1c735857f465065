/** Commands on segments: save, delete. */
import { AppError } from '@understudy/core/errors';
import { segmentsOfSegment } from '@understudy/core/flags/references';
import type { Segment } from '@understudy/core/flags/segment';
import { type Caller, type CommandContext, runCommand } from './command.ts';
import { documentsOf, loadFlagLibrary, refuseProblems, refuseUnaddressable, usersOfSegment } from './flag-library.ts';
import { changeSince, create, type Held, holdSegment, remove, replace, sameContent } from './queries.ts';
import type { Receipt } from './receipt.ts';

/** A segment as it should be. */
export interface SaveSegmentInput {
  readonly segment: Segment;
  /** At which the caller read the segment; 0 when there should be none. */
  readonly revision: number;
  readonly reason: string;
}

/**
 * Creates or replaces a segment.
 * @throws AppError `segment.changed` when it is not at the revision that the caller read; `segment.invalid` with every
 *   problem named
 */
export async function saveSegment(context: CommandContext, caller: Caller, input: SaveSegmentInput): Promise<Receipt> {
  const { segment, reason } = input;
  const { key } = segment;
  refuseUnaddressable('segment.invalid', key);
  return runCommand(context, caller, async () => {
    const library = await loadFlagLibrary(context);
    const held = library.segments.find(({ id }) => id === key);
    if (held !== undefined && sameContent(held.body, segment)) {
      return { nothing: { outcome: 'already-done', message: `segment "${key}" is so already`, id: key } };
    }
    refuseStale(held, input);
    const before = documentsOf(library);
    const segments = [...before.segments.filter((other) => other.key !== key), segment];
    refuseProblems('segment.invalid', { before, after: { ...before, segments }, written: `segment "${key}"` });
    const had = held === undefined ? [] : segmentsOfSegment(held.body);
    const added = segmentsOfSegment(segment).filter((other) => !had.includes(other));
    // Written unchanged, so that the commit conflicts when somebody deletes one or makes it refer back meanwhile.
    const guards = library.segments.filter(({ id }) => added.includes(id)).map((other) => replace('segment', other, other.body));
    const write = held === undefined ? create('segment', key, segment) : replace('segment', held, segment);
    const message = `${held === undefined ? 'created' : 'saved'} segment "${key}"`;
    return {
      commit: { writes: [write, ...guards], action: 'segment.saved', reason },
      receipt: { outcome: 'done', message, id: key },
    };
  });
}

/** @throws AppError `segment.in_use` while a flag or another segment refers to it */
export async function deleteSegment(
  context: CommandContext,
  caller: Caller,
  input: { readonly segment: string; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const held = await holdSegment(context, input.segment);
    const users = usersOfSegment(documentsOf(await loadFlagLibrary(context)), input.segment);
    if (users.length > 0) {
      throw new AppError(
        'segment.in_use',
        `cannot delete segment "${input.segment}": ${users.join(', ')} ${users.length === 1 ? 'refers' : 'refer'} to it; change ${users.length === 1 ? 'that' : 'those'} first`,
      );
    }
    return {
      commit: { writes: [remove('segment', held)], action: 'segment.deleted', reason: input.reason },
      receipt: { outcome: 'done', message: `deleted segment "${input.segment}"`, id: input.segment },
    };
  });
}

function refuseStale(held: Held<Segment> | undefined, { segment, revision }: SaveSegmentInput): void {
  const change = changeSince(held, revision);
  if (change === undefined) return;
  throw new AppError('segment.changed', `cannot save segment "${segment.key}": ${change}; read it again and put your change in`);
}
