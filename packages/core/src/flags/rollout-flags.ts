/** Every rollout as flags: the version that serves a subject, and for each challenger whether it does. Flag protocols serve them. */
import { BUCKET_COUNT } from '../bucketing.ts';
import type { Model } from '../model.ts';
import { boundaryOfRollout, isLive, type Rollout } from '../rollout.ts';
import type { Condition as RoutingCondition, RequestField } from '../targeting.ts';
import type { AttributeCondition } from './condition.ts';
import { type AttributeReference, literalAttribute } from './context.ts';
import type { Flag, Rule, Serve } from './flag.ts';
import type { Loss } from './import-report.ts';

/** The flags of one model, and what of its routing they cannot say. */
export interface RolloutFlags {
  readonly flags: readonly Flag[];
  readonly losses: readonly Loss[];
}

/** The flags of every model, with the model that each follows. */
export interface FollowingFlag {
  readonly flag: Flag;
  readonly model: string;
  /** What of the model's routing the flag cannot say. */
  readonly losses: readonly Loss[];
}

/** The key of the flag whose variants are a model's versions. */
export function versionFlagKey(model: string): string {
  return `${model}-version`;
}

/** The key of the boolean flag that is true for the subjects of one version. */
export function challengerFlagKey(model: string, challenger: string): string {
  return `${model}-${challenger}`;
}

/**
 * The flags that follow a rollout. A subject gets the version that the gateway gives it: same salt, same buckets.
 * @param rollout the model's newest rollout; when it has ended, everybody is on the model's champion
 * @returns no flags while the model has no champion
 */
export function flagsOfRollout(model: Model, rollout?: Rollout): RolloutFlags {
  const key = versionFlagKey(model.name);
  const live = rollout !== undefined && isLive(rollout.state) ? rollout : undefined;
  const champion = live?.champion ?? model.champion;
  if (champion === undefined) return { flags: [], losses: [] };
  const losses: Loss[] = [];
  const names = live === undefined ? [champion] : [live.challenger, champion];
  const versions: Flag = {
    key,
    type: 'string',
    on: live === undefined || model.killed === undefined,
    offVariant: champion,
    variants: names.map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [],
    rules: live === undefined || live.state.phase === 'preparing' ? [] : rulesOf(model, { live, key, losses }),
    fallthrough: live === undefined ? { variant: champion } : splitOf(live),
    bucketing: { profile: 'unleash', salt: rollout?.salt ?? key, whenMissing: 'random' },
  };
  if (rollout === undefined) return { flags: [versions], losses };
  const derived = challengerFlag(challengerFlagKey(model.name, rollout.challenger), versions, rollout.challenger);
  return { flags: [versions, derived], losses };
}

/** The newest rollout of each model, by the model's name. */
export function newestRollouts(rollouts: readonly Rollout[]): ReadonlyMap<string, Rollout> {
  const newest = new Map<string, Rollout>();
  for (const rollout of rollouts) {
    if (rollout.startedAtMs > (newest.get(rollout.model)?.startedAtMs ?? -Infinity)) newest.set(rollout.model, rollout);
  }
  return newest;
}

/** The flags that follow a model. @param newest its newest rollout; undefined when it never had one */
export function flagsOfModel(model: Model, newest: Rollout | undefined): readonly FollowingFlag[] {
  const { flags, losses } = flagsOfRollout(model, newest);
  return flags.map((flag) => ({ flag, model: model.name, losses: losses.filter(({ about }) => about === flag.key) }));
}

/** A decision that somebody took by flag. */
export interface FlagDecision {
  readonly flag: string;
  readonly variant: string;
}

/**
 * The version of a model that a variant of its flags stands for.
 * @param rollout the one that the decision was taken under; undefined outside of rollouts
 * @returns undefined when the flag does not follow the model, or does not say which version it is
 */
export function versionOfDecision(model: string, rollout: Rollout | undefined, decision: FlagDecision): string | undefined {
  const { flag, variant } = decision;
  if (flag === versionFlagKey(model)) return variant;
  if (rollout === undefined || flag !== challengerFlagKey(model, rollout.challenger)) return undefined;
  if (variant === 'on') return rollout.challenger;
  return variant === 'off' ? rollout.champion : undefined;
}

/** Challenger first: it grows into the champion's slice, as the gateway's boundary does. */
function splitOf(live: Rollout): Serve {
  const boundary = boundaryOfRollout(live);
  if (boundary === 0) return { variant: live.champion };
  const slices = [
    { variant: live.challenger, weight: boundary },
    { variant: live.champion, weight: BUCKET_COUNT - boundary },
  ];
  return { split: { slices: slices.filter(({ weight }) => weight > 0) } };
}

/** True exactly for the subjects whose version is the challenger: it asks the other flag instead of hashing again. */
function challengerFlag(key: string, versions: Flag, challenger: string): Flag {
  return {
    key,
    type: 'boolean',
    on: true,
    offVariant: 'off',
    variants: [
      { name: 'on', value: true },
      { name: 'off', value: false },
    ],
    prerequisites: [{ flag: versions.key, variants: [challenger] }],
    pins: [],
    rules: [],
    fallthrough: { variant: 'on' },
    bucketing: versions.bucketing,
  };
}

interface RuleTarget {
  readonly live: Rollout;
  readonly key: string;
  readonly losses: Loss[];
}

/** Fields of a request become attributes of the user; what has no place in a flag's context is reported. */
function rulesOf({ routing }: Model, { live, key, losses }: RuleTarget): readonly Rule[] {
  const [subject] = routing.subject;
  return routing.rules.map(({ id, all, serve }) => ({
    id,
    all: all.map((condition): AttributeCondition => {
      const reference = isSameField(condition.field, subject) ? { attribute: 'key' } : attributeOf(condition.field);
      if (reference.kind === REQUEST) losses.push({ about: key, sentence: requestSentence(id, reference) });
      return { type: 'attribute', ...reference, ...testOf(condition) };
    }),
    serve: { variant: live[serve] },
  }));
}

function requestSentence(rule: string, { attribute }: AttributeReference): string {
  return (
    `The rule "${rule}" reads "${attribute}" of the request, which flag SDKs do not send: ` +
    `a context must carry it as an attribute of the kind "${REQUEST}".`
  );
}

function isSameField(field: RequestField, other: RequestField | undefined): boolean {
  return (
    other !== undefined && JSON.stringify(attributeOf(field)) === JSON.stringify(attributeOf(other)) && field.from === other.from
  );
}

/** The kind of what belongs to the transport and not to the user. */
const REQUEST = 'request';

function attributeOf(field: RequestField): AttributeReference {
  switch (field.from) {
    case 'json': {
      const parts = field.path.split('.');
      return { attribute: parts.length === 1 ? literalAttribute(field.path) : `/${parts.map(escaped).join('/')}` };
    }
    case 'header':
    case 'cookie':
      return { kind: REQUEST, attribute: literalAttribute(field.name) };
    case 'api-key':
      return { kind: REQUEST, attribute: 'api-key' };
  }
}

function escaped(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1');
}

function testOf({ operator, values }: RoutingCondition): Omit<AttributeCondition, 'type' | 'attribute'> {
  const compare = 'text';
  switch (operator) {
    case 'in':
    case 'starts-with':
    case 'ends-with':
    case 'contains':
      return { operator, values, compare };
    case 'not-in':
      return { operator: 'in', values, compare, not: true, ifMissing: true };
    case 'present':
      return { operator: 'present', values: [] };
    case 'absent':
      return { operator: 'present', values: [], not: true, ifMissing: true };
  }
}
