/** Commands on flags: save, delete, switch, ramp. */
import { AppError } from '@understudy/core/errors';
import type { Flag, Serve } from '@understudy/core/flags/flag';
import { rampServe } from '@understudy/core/flags/ramp';
import { prerequisitesOfFlag, segmentsOfFlag } from '@understudy/core/flags/references';
import type { Write } from '../storage/store.ts';
import { type Caller, type CommandContext, runCommand } from './command.ts';
import {
  dependantsOfFlag,
  documentsOf,
  type FlagLibrary,
  loadFlagLibrary,
  refuseProblems,
  refuseReserved,
  refuseUnaddressable,
  unknownFlag,
} from './flag-library.ts';
import { changeSince, create, type Held, hold, remove, replace, sameContent } from './queries.ts';
import type { Receipt } from './receipt.ts';

/** A flag as it should be. */
export interface SaveFlagInput {
  readonly flag: Flag;
  /** At which the caller read the flag; 0 when there should be none. */
  readonly revision: number;
  readonly reason: string;
}

/**
 * Creates or replaces a flag.
 * @throws AppError `flag.changed` when it is not at the revision that the caller read; `flag.reserved`; `flag.invalid` with
 *   every problem named
 */
export async function saveFlag(context: CommandContext, caller: Caller, input: SaveFlagInput): Promise<Receipt> {
  const { flag, reason } = input;
  refuseUnaddressable('flag.invalid', flag.key);
  return runCommand(context, caller, async () => {
    const library = await loadFlagLibrary(context);
    refuseReserved(library, flag.key);
    const held = library.flags.find(({ id }) => id === flag.key);
    if (held !== undefined && sameContent(held.body, flag)) {
      return { nothing: { outcome: 'already-done', message: `flag "${flag.key}" is so already`, id: flag.key } };
    }
    refuseStale(held, input);
    const before = documentsOf(library);
    const flags = [...before.flags.filter(({ key }) => key !== flag.key), flag];
    refuseProblems('flag.invalid', { before, after: { ...before, flags }, written: `flag "${flag.key}"` });
    const write = held === undefined ? create('flag', flag.key, flag) : replace('flag', held, flag);
    const message = `${held === undefined ? 'created' : 'saved'} flag "${flag.key}"`;
    return {
      commit: { writes: [write, ...guardReferences(library, { flag, held })], action: 'flag.saved', reason },
      receipt: { outcome: 'done', message, id: flag.key },
    };
  });
}

/** @throws AppError `flag.in_use` while another flag has it as a prerequisite */
export async function deleteFlag(
  context: CommandContext,
  caller: Caller,
  input: { readonly flag: string; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const library = await loadFlagLibrary(context);
    const held = await holdFlag(context, input.flag);
    const dependants = dependantsOfFlag(documentsOf(library), input.flag);
    if (dependants.length > 0) {
      const names = dependants.map((key) => `"${key}"`).join(', ');
      throw new AppError(
        'flag.in_use',
        `cannot delete flag "${input.flag}": it is a prerequisite of ${names}; change those first`,
      );
    }
    return {
      commit: { writes: [remove('flag', held)], action: 'flag.deleted', reason: input.reason },
      receipt: { outcome: 'done', message: `deleted flag "${input.flag}"`, id: input.flag },
    };
  });
}

/** The kill switch. Takes effect whatever else was changed meanwhile. */
export async function switchFlag(
  context: CommandContext,
  caller: Caller,
  input: { readonly flag: string; readonly on: boolean; readonly reason: string },
): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const held = await holdFlag(context, input.flag);
    const { on } = input;
    const word = on ? 'on' : 'off';
    if (held.body.on === on) {
      return { nothing: { outcome: 'already-done', message: `flag "${input.flag}" is ${word} already`, id: input.flag } };
    }
    const off = held.body.offVariant === undefined ? "their caller's default" : `"${held.body.offVariant}"`;
    const message = `flag "${input.flag}" is ${word}${on ? '' : `: all subjects get ${off}`}`;
    return {
      commit: { writes: [replace('flag', held, { ...held.body, on })], action: `flag.switched-${word}`, reason: input.reason },
      receipt: { outcome: 'done', message, id: input.flag },
    };
  });
}

/** A new percentage of one variant. */
export interface RampFlagInput {
  readonly flag: string;
  readonly variant: string;
  readonly percent: number;
  readonly against?: string;
  /** Number of the rule, from 1; the fallthrough when left out. */
  readonly rule?: number;
  readonly reason: string;
}

/** @throws AppError `flag.invalid` when there is no such variant or rule, or the split cannot be divided like that */
export async function rampFlag(context: CommandContext, caller: Caller, input: RampFlagInput): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const held = await holdFlag(context, input.flag);
    const { variant, percent } = input;
    const ramp = rampServe(held.body, serveAt(held.body, input.rule), input);
    if (ramp.outcome === 'impossible') {
      throw new AppError('flag.invalid', `cannot ramp "${variant}" of flag "${input.flag}" to ${percent} %: ${ramp.problem}`);
    }
    const next = withServe(held.body, input.rule, ramp.serve);
    const place = input.rule === undefined ? '' : ` of rule ${input.rule}`;
    if (ramp.movedPercent === 0) {
      const message = `"${variant}" has ${percent} %${place} of flag "${input.flag}" already`;
      return { nothing: { outcome: 'already-done', message, id: input.flag } };
    }
    const moved = Math.round(ramp.movedPercent * 1000) / 1000;
    const message = `"${variant}" has ${percent} %${place} of flag "${input.flag}"; ${moved} % of the subjects there moved`;
    return {
      commit: { writes: [replace('flag', held, next)], action: 'flag.ramped', reason: input.reason },
      receipt: { outcome: 'done', message, id: input.flag },
    };
  });
}

/**
 * A flag that may be changed by hand. Reads nothing but the flag, so that the kill switch works whatever else is stored.
 * @throws AppError `flag.not_found`, `flag.reserved`
 */
async function holdFlag(context: CommandContext, key: string): Promise<Held<Flag>> {
  const held = await hold(context, 'flag', key);
  if (held !== undefined) return held;
  const library = await loadFlagLibrary(context);
  refuseReserved(library, key);
  throw unknownFlag(library, key);
}

function refuseStale(held: Held<Flag> | undefined, { flag, revision }: SaveFlagInput): void {
  const change = changeSince(held, revision);
  if (change === undefined) return;
  throw new AppError('flag.changed', `cannot save flag "${flag.key}": ${change}; read it again and put your change in`);
}

/**
 * Writes what the flag newly refers to once more, unchanged, so that the commit conflicts when somebody deletes it or makes it
 * refer back meanwhile.
 */
function guardReferences(
  { flags, segments }: FlagLibrary,
  { flag, held }: { readonly flag: Flag; readonly held: Held<Flag> | undefined },
): readonly Write[] {
  const had = held === undefined ? [] : prerequisitesOfFlag(held.body);
  const hadSegments = held === undefined ? [] : segmentsOfFlag(held.body);
  const newFlags = prerequisitesOfFlag(flag).filter((key) => !had.includes(key));
  const newSegments = segmentsOfFlag(flag).filter((key) => !hadSegments.includes(key));
  return [
    ...flags.filter(({ id }) => newFlags.includes(id)).map((other) => replace('flag', other, other.body)),
    ...segments.filter(({ id }) => newSegments.includes(id)).map((other) => replace('segment', other, other.body)),
  ];
}

function serveAt(flag: Flag, rule: number | undefined): Serve {
  if (rule === undefined) return flag.fallthrough;
  const found = flag.rules[rule - 1];
  if (found !== undefined) return found.serve;
  const count = flag.rules.length;
  throw new AppError('flag.invalid', `flag "${flag.key}" has no rule ${rule}; it has ${count === 1 ? 'one' : count}`);
}

function withServe(flag: Flag, rule: number | undefined, serve: Serve): Flag {
  if (rule === undefined) return { ...flag, fallthrough: serve };
  return { ...flag, rules: flag.rules.map((one, index) => (index === rule - 1 ? { ...one, serve } : one)) };
}
