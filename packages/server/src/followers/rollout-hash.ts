/** A hash `rollout:{name}` in our words, both ways. The import of such hashes and their mirror depend on it. */
import { Name } from '@understudy/contract/documents';
import { describeProblems } from '@understudy/contract/problems';
import { BUCKET_COUNT } from '@understudy/core/bucketing';
import { newestRollouts } from '@understudy/core/flags/rollout-flags';
import type { Model } from '@understudy/core/model';
import { boundaryOfRollout, isLive, type Rollout } from '@understudy/core/rollout';
import type { EnvironmentState } from '@understudy/core/snapshot';
import { z } from 'zod';

/** As programs read it: the challenger gets its percentage of requests while the status is `active`, otherwise none. */
export interface RolloutHash {
  readonly champion: string;
  /** Empty when there is none. */
  readonly challenger: string;
  /** 0 to 100, whole: readers parse it as an integer. */
  readonly percentage: number;
  readonly status: 'active' | 'paused' | 'promoted' | 'rolled_back';
}

const HashSchema = z.object({
  champion: Name,
  challenger: z.union([z.literal(''), Name]).default(''),
  percentage: z
    .string()
    .regex(/^(100|\d{1,2})$/, 'must be a whole number from 0 to 100')
    .transform(Number),
  status: z.enum(['active', 'paused', 'promoted', 'rolled_back']),
});

/** A hash that was read, or why it cannot be used; and fields that nobody knows. */
export type ReadHash =
  | { readonly outcome: 'read'; readonly hash: RolloutHash; readonly unknownFields: readonly string[] }
  | { readonly outcome: 'unusable'; readonly problem: string };

export function readRolloutHash(name: string, fields: ReadonlyMap<string, string>): ReadHash {
  const isName = Name.safeParse(name);
  if (!isName.success)
    return { outcome: 'unusable', problem: `its name cannot be that of a model: ${describeProblems(isName.error)}` };
  const parsed = HashSchema.safeParse(Object.fromEntries(fields));
  if (!parsed.success) return { outcome: 'unusable', problem: describeProblems(parsed.error) };
  const unknownFields = [...fields.keys()].filter((field) => !(field in HashSchema.shape));
  return { outcome: 'read', hash: parsed.data, unknownFields };
}

/** What each model with a champion looks like to programs that read such hashes. */
export function rolloutHashesOf({
  models,
  rollouts,
}: Pick<EnvironmentState, 'models' | 'rollouts'>): ReadonlyMap<string, RolloutHash> {
  const [byId, newest] = [new Map(rollouts.map((rollout) => [rollout.id, rollout])), newestRollouts(rollouts)];
  const hashes = new Map<string, RolloutHash>();
  for (const model of models) {
    const rollout = byId.get(model.liveRollout ?? '') ?? newest.get(model.name);
    if (model.champion !== undefined) hashes.set(model.name, hashOfModel(model, model.champion, rollout));
  }
  return hashes;
}

function hashOfModel(model: Model, champion: string, rollout: Rollout | undefined): RolloutHash {
  const alone = { champion, challenger: '', percentage: 0 };
  if (rollout === undefined) return { ...alone, status: 'promoted' };
  const { challenger, state } = rollout;
  if (state.phase === 'promoted') return { ...alone, status: 'promoted' };
  if (!isLive(state)) return { champion, challenger, percentage: 0, status: 'rolled_back' };
  if (model.killed !== undefined) return { champion, challenger, percentage: 0, status: 'paused' };
  // A paused rollout keeps its share here, and readers give a share only to what is active.
  const percentage = Math.floor((boundaryOfRollout(rollout) * 100) / BUCKET_COUNT);
  return { champion, challenger, percentage, status: 'active' };
}

/** The fields of a hash as they are stored. */
export function fieldsOf({ champion, challenger, percentage, status }: RolloutHash): Readonly<Record<string, string>> {
  return { champion, challenger, percentage: String(percentage), status };
}
