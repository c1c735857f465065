/** All flags and segments of an environment as commands see them: people's, and the flags that follow models. */
import { AppError } from '@understudy/core/errors';
import { compileFlags, type DocumentProblem, type FlagDocuments } from '@understudy/core/flags/evaluator';
import type { Flag } from '@understudy/core/flags/flag';
import { prerequisitesOfFlag, referenceProblems, segmentsOfFlag, segmentsOfSegment } from '@understudy/core/flags/references';
import {
  challengerFlagKey,
  flagsOfModel,
  type FollowingFlag,
  newestRollouts,
  versionFlagKey,
} from '@understudy/core/flags/rollout-flags';
import type { Segment } from '@understudy/core/flags/segment';
import type { Model } from '@understudy/core/model';
import { type Rollout, shadowStepOf } from '@understudy/core/rollout';
import { compileRegex } from '../regex.ts';
import { type Held, hold, listHeld, type QueryContext } from './queries.ts';

/** Read before every decision on a flag or a segment. */
export interface FlagLibrary {
  readonly flags: readonly Held<Flag>[];
  readonly segments: readonly Held<Segment>[];
  readonly following: readonly FollowingFlag[];
  /** The model that a key is kept for; such a key is never a person's flag. */
  readonly reservedFor: ReadonlyMap<string, string>;
}

export async function loadFlagLibrary(context: QueryContext): Promise<FlagLibrary> {
  const [flags, segments, models, versions, rollouts] = await Promise.all([
    listHeld(context, 'flag'),
    listHeld(context, 'segment'),
    listHeld(context, 'model'),
    listHeld(context, 'version'),
    listHeld(context, 'rollout'),
  ]);
  const bodies = models.map(({ body }) => body);
  return {
    flags,
    segments,
    following: followingFlags(
      bodies,
      rollouts.map(({ body }) => body),
    ),
    reservedFor: new Map([
      ...versions.map(({ body: { model, version } }) => [challengerFlagKey(model, version), model] as const),
      ...bodies.map(({ name }) => [versionFlagKey(name), name] as const),
    ]),
  };
}

/** In a step of shadow nobody gets the challenger, by flag as little as by gateway: rules choose whose requests are copied. */
function followingFlags(models: readonly Model[], rollouts: readonly Rollout[]): readonly FollowingFlag[] {
  const rehearsed = new Set(rollouts.filter((rollout) => shadowStepOf(rollout) !== undefined).map(({ id }) => id));
  const newest = newestRollouts(rollouts);
  return models.flatMap((model) => {
    const isRehearsed = model.liveRollout !== undefined && rehearsed.has(model.liveRollout);
    return followingOf(model, newest.get(model.name), isRehearsed);
  });
}

/** What followed a model by a rollout, as long as somebody holds both: most of them are as they were at the last change. */
const known = new WeakMap<Model, Followed>();

interface Followed {
  readonly newest: Rollout | undefined;
  readonly isRehearsed: boolean;
  readonly following: readonly FollowingFlag[];
}

function followingOf(model: Model, newest: Rollout | undefined, isRehearsed: boolean): readonly FollowingFlag[] {
  const before = known.get(model);
  if (before !== undefined && before.newest === newest && before.isRehearsed === isRehearsed) return before.following;
  const served = isRehearsed ? { ...model, routing: { ...model.routing, rules: [] } } : model;
  const following = flagsOfModel(served, newest);
  known.set(model, { newest, isRehearsed, following });
  return following;
}

/**
 * What is evaluated. Where a model and a person were given the same key at the same moment, the model's flag counts: the
 * gateway serves by it.
 */
export function documentsOf({ flags, segments, following }: FlagLibrary): FlagDocuments {
  const taken = new Set(following.map(({ flag }) => flag.key));
  const own = flags.map(({ body }) => body).filter(({ key }) => !taken.has(key));
  return { flags: [...following.map(({ flag }) => flag), ...own], segments: segments.map(({ body }) => body) };
}

/** What the documents do not do as somebody surely meant it. A flag that is off is judged as if it were on. */
export function problemsIn({ flags, segments }: FlagDocuments): readonly DocumentProblem[] {
  const documents = { flags: flags.map((flag) => ({ ...flag, on: true })), segments };
  const found = [...compileFlags(documents, { compileRegex }).problems, ...referenceProblems(documents)];
  return [...new Map(found.map((problem) => [`${problem.where}: ${problem.problem}`, problem])).values()];
}

/** Flags and segments that refer to a segment, as `flag "key"` or `segment "key"`. */
export function usersOfSegment({ flags, segments }: FlagDocuments, key: string): readonly string[] {
  return [
    ...flags.filter((flag) => segmentsOfFlag(flag).includes(key)).map((flag) => `flag "${flag.key}"`),
    ...segments.filter((segment) => segmentsOfSegment(segment).includes(key)).map((segment) => `segment "${segment.key}"`),
  ];
}

/** Keys of the flags that depend on a flag. */
export function dependantsOfFlag({ flags }: FlagDocuments, key: string): readonly string[] {
  return flags.filter((flag) => prerequisitesOfFlag(flag).includes(key)).map((flag) => flag.key);
}

/**
 * Refuses a change of documents that would bring problems: any in a document that it writes, new ones in the others.
 * @param written as `flag "key"` or `segment "key"`
 * @throws AppError with every problem named
 */
export function refuseProblems(
  code: 'flag.invalid' | 'segment.invalid',
  { before, after, written }: { readonly before: FlagDocuments; readonly after: FlagDocuments; readonly written: string },
): void {
  const known = new Set(problemsIn(before).map(({ where, problem }) => `${where}: ${problem}`));
  const problems = problemsIn(after).filter(({ where, problem }) => where === written || !known.has(`${where}: ${problem}`));
  if (problems.length === 0) return;
  const list = problems.map(({ where, problem }) => (where === written ? problem : `${where}: ${problem}`));
  throw new AppError(code, `cannot save ${written}: ${list.join('; ')}`);
}

/** @throws AppError `flag.reserved` when a key belongs to the flags that follow a model */
export function refuseReserved({ reservedFor }: FlagLibrary, key: string): void {
  const model = reservedFor.get(key);
  if (model === undefined) return;
  throw new AppError(
    'flag.reserved',
    `the flag "${key}" follows the rollouts of model "${model}" and is not changed by hand: change the rollout (understudy rollout, understudy kill ${model}), or choose another key`,
  );
}

/** @throws AppError `flag.invalid` or `segment.invalid` for a key that no address can hold */
export function refuseUnaddressable(code: 'flag.invalid' | 'segment.invalid', key: string): void {
  if (key !== '.' && key !== '..') return;
  throw new AppError(code, `"${key}" cannot be a key: addresses do not keep it; choose another`);
}

/** @returns `flag.not_found` with the keys there are */
export function unknownFlag(library: FlagLibrary, key: string): AppError {
  const known = documentsOf(library).flags.map((flag) => flag.key);
  const list = known.length === 0 ? 'there is none yet' : `there are ${known.slice(0, 20).join(', ')}`;
  return new AppError('flag.not_found', `there is no flag "${key}"; ${list}`);
}

/** @throws AppError `flag.already_exists` when the flag that would follow a model is somebody's */
export async function refuseTakenKey(context: QueryContext, key: string, attempt: string): Promise<void> {
  if ((await hold(context, 'flag', key)) === undefined) return;
  throw new AppError(
    'flag.already_exists',
    `cannot ${attempt}: its rollouts are shown as the flag "${key}", and there is a flag of that name; delete that flag or choose another name`,
  );
}
