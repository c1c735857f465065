/** Freezes: who set them, and how they keep rollouts from going forward. One document, so that setting one beats whoever goes forward. */
import { AppError } from '@understudy/core/errors';
import { type Freeze, freezeAt, type FreezeRules, type FreezeTimes, NO_FREEZE } from '@understudy/core/freeze';
import { MOST_FREEZES } from '@understudy/contract/people-documents';
import { readLocalTime } from '../local-time.ts';
import type { Write } from '../storage/store.ts';
import { type Caller, type CommandContext, type Plan, runCommand } from './command.ts';
import { type Held, hold, type QueryContext, replace } from './queries.ts';
import type { Receipt } from './receipt.ts';

// All of an environment's freezes are one document of this name.
const DOCUMENT = 'environment';

/** The freezes with the revision that they were read at; 0 before there was any. */
export async function holdFreezes(context: QueryContext): Promise<Held<FreezeRules>> {
  return (await hold(context, 'freeze', DOCUMENT)) ?? { id: DOCUMENT, revision: 0, body: NO_FREEZE };
}

/**
 * Written unchanged together with every step forward, so that the commit conflicts when somebody sets a freeze meanwhile: what
 * was acknowledged as frozen never moves.
 */
export function guardFreezes(held: Held<FreezeRules>): Write {
  return replace('freeze', held, held.body);
}

/** Why nothing of a model may go forward now, in a sentence; undefined when it may. */
export function frozenBecause(rules: FreezeRules, place: { readonly model: string; readonly atMs: number }): string | undefined {
  const freeze = freezeAt(rules, place, readLocalTime);
  return freeze === undefined ? undefined : sentenceOf(freeze);
}

/**
 * Lets a person make a champion, or not.
 * @returns what to write with it, and what to add to the reason
 * @throws AppError `freeze.active` while the model is frozen, unless that is overridden
 */
export async function passFreezes(
  context: QueryContext,
  place: { readonly model: string; readonly atMs: number; readonly attempt: string; readonly overrideFreeze?: boolean },
): Promise<{ readonly guard: Write; readonly note: string }> {
  const held = await holdFreezes(context);
  const frozen = frozenBecause(held.body, place);
  const guard = guardFreezes(held);
  if (frozen === undefined) return { guard, note: '' };
  if (place.overrideFreeze === true) return { guard, note: ` (although ${frozen})` };
  throw new AppError(
    'freeze.active',
    `cannot ${place.attempt}: ${frozen}. Wait, or do it all the same with --override-freeze and a reason; rollbacks are never frozen`,
  );
}

interface SaveInput {
  readonly name: string;
  readonly models?: readonly string[];
  readonly times: FreezeTimes;
  readonly reason: string;
}

/** Creates or replaces a freeze. @throws AppError `request.invalid` when there are too many */
export async function saveFreeze(context: CommandContext, caller: Caller, input: SaveInput): Promise<Receipt> {
  return change(context, caller, async (rules, atMs) => {
    const others = rules.windows.filter(({ name }) => name !== input.name);
    if (others.length >= MOST_FREEZES) {
      throw new AppError('request.invalid', `cannot set freeze "${input.name}": there are ${MOST_FREEZES} already; delete some`);
    }
    const next = { ...rules, windows: [...others, { ...input, setBy: caller.actor, setAtMs: atMs }] };
    return { next, action: 'freeze.saved', reason: input.reason, message: `freeze "${input.name}" is set`, id: input.name };
  });
}

/** @throws AppError `freeze.not_found` */
export async function deleteFreeze(
  context: CommandContext,
  caller: Caller,
  input: { readonly freeze: string; readonly reason: string },
): Promise<Receipt> {
  return change(context, caller, async (rules) => {
    const windows = rules.windows.filter(({ name }) => name !== input.freeze);
    if (windows.length === rules.windows.length) {
      const known = windows.map(({ name }) => name).join(', ');
      const there = known === '' ? 'there is none' : `there are ${known}`;
      throw new AppError('freeze.not_found', `there is no freeze "${input.freeze}"; ${there}`);
    }
    const message = `freeze "${input.freeze}" is deleted`;
    return { next: { ...rules, windows }, action: 'freeze.deleted', reason: input.reason, message, id: input.freeze };
  });
}

/** Freezes everything until {@link resumeTheLine}. Stopped twice, the first reason stays. */
export async function stopTheLine(
  context: CommandContext,
  caller: Caller,
  { reason }: { readonly reason: string },
): Promise<Receipt> {
  return change(context, caller, async (rules, atMs) => {
    if (rules.stopped !== undefined) return `${rules.stopped.by} has stopped the line already: ${rules.stopped.reason}`;
    const message = 'the line is stopped: nothing goes forward in this environment; rollbacks happen as ever';
    return {
      next: { ...rules, stopped: { atMs, by: caller.actor, reason } },
      action: 'line.stopped',
      reason,
      message,
      id: DOCUMENT,
    };
  });
}

/** Lifts what {@link stopTheLine} did; windows hold as before. */
export async function resumeTheLine(
  context: CommandContext,
  caller: Caller,
  { reason }: { readonly reason: string },
): Promise<Receipt> {
  return change(context, caller, async ({ stopped, ...rules }) => {
    if (stopped === undefined) return 'the line is not stopped';
    return { next: rules, action: 'line.resumed', reason, message: 'the line goes on', id: DOCUMENT };
  });
}

interface Change {
  readonly next: FreezeRules;
  readonly action: string;
  readonly reason: string;
  readonly message: string;
  readonly id: string;
}

/** @param decide gives the next rules, or says why there is nothing to do */
async function change(
  context: CommandContext,
  caller: Caller,
  decide: (rules: FreezeRules, atMs: number) => Promise<Change | string>,
): Promise<Receipt> {
  return runCommand(context, caller, async (atMs): Promise<Plan> => {
    const held = await holdFreezes(context);
    const decided = await decide(held.body, atMs);
    if (typeof decided === 'string') return { nothing: { outcome: 'already-done', message: decided, id: DOCUMENT } };
    const { next, action, reason, message, id } = decided;
    return {
      commit: { writes: [replace('freeze', held, next)], action, reason },
      receipt: { outcome: 'done', message, id },
    };
  });
}

function sentenceOf({ name, reason, untilMs }: Freeze): string {
  if (name === 'stop-the-line') return `frozen until the line is resumed: ${reason}`;
  const until = untilMs === undefined ? '' : ` until ${new Date(untilMs).toISOString().slice(0, 16)}Z`;
  return `frozen by "${name}"${until}: ${reason}`;
}
