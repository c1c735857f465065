/** Reads LaunchDarkly's flags and segments into documents that answer as its own SDKs do, for the same users. */
import type { Bucketing } from './bucketing-profile.ts';
import { type AttributeCondition, type Condition, NOBODY, type Operator } from './condition.ts';
import { type AttributeReference, DEFAULT_KIND, literalAttribute } from './context.ts';
import type { Flag, Pin, Prerequisite, Rule, Serve } from './flag.ts';
import { openLosses, type Import, type Lose } from './import-report.ts';
import type {
  LaunchDarklyClause,
  LaunchDarklyData,
  LaunchDarklyFlag,
  LaunchDarklyKeys,
  LaunchDarklySegment,
  LaunchDarklyServe,
} from './launchdarkly-model.ts';
import type { KeyList, Segment } from './segment.ts';
import { collectVariants, nameOfValue, typeOf } from './variant-names.ts';

const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ['in', 'in'],
  ['startsWith', 'starts-with'],
  ['endsWith', 'ends-with'],
  ['contains', 'contains'],
  ['matches', 'matches'],
  ['lessThan', 'less-than'],
  ['lessThanOrEqual', 'less-than-or-equal'],
  ['greaterThan', 'greater-than'],
  ['greaterThanOrEqual', 'greater-than-or-equal'],
  ['before', 'before'],
  ['after', 'after'],
  ['semVerEqual', 'semver-equals'],
  ['semVerLessThan', 'semver-less-than'],
  ['semVerGreaterThan', 'semver-greater-than'],
]);

/** The import cannot fail: what does not fit is reported. */
export function importLaunchDarkly({ flags, segments = {} }: LaunchDarklyData): Import {
  const { losses, loseAbout } = openLosses();
  return {
    flags: Object.values(flags).map((flag) => importFlag(flag, flags, loseAbout(flag.key))),
    segments: Object.values(segments).map((segment) => importSegment(segment, loseAbout(segment.key))),
    losses,
  };
}

function importFlag(flag: LaunchDarklyFlag, flags: LaunchDarklyData['flags'], lose: Lose): Flag {
  const { key, on, salt = '', offVariation, rules = [], prerequisites = [] } = flag;
  const names = namesOf(flag);
  const nameAt = (index: number): string => nameOrMissing(names, index, lose);
  const target = { nameAt, prefix: `${key}.${salt}`, lose };
  loseEvents(flag, lose);
  return {
    key,
    type: typeOf(flag.variations),
    on,
    ...(offVariation === undefined ? {} : { offVariant: nameAt(offVariation) }),
    variants: flag.variations.map((value, index) => ({ name: names[index] ?? '', value })),
    prerequisites: prerequisites.map(({ key: other, variation }): Prerequisite => {
      const parent = flags[other];
      return { flag: other, variants: [nameOrMissing(parent === undefined ? [] : namesOf(parent), variation, lose)] };
    }),
    pins: importTargets(flag, nameAt),
    rules: rules.map(({ id, clauses = [], trackEvents: _events, ...serve }): Rule => {
      const all = clauses.map((clause) => importClause(clause, lose));
      return { ...(id === undefined ? {} : { id }), all, serve: importServe(serve, target) };
    }),
    fallthrough: importServe(flag.fallthrough ?? {}, target),
    bucketing: { profile: 'launchdarkly', salt: `${key}.${salt}` },
  };
}

/** Which events SDKs send besides their counts; it changes nobody's variant. */
function loseEvents(flag: LaunchDarklyFlag, lose: Lose): void {
  const { rules = [], debugEventsUntilDate, samplingRatio, migration } = flag;
  const rulesWithEvents = rules.flatMap(({ trackEvents }, index) => (trackEvents === true ? [index + 1] : []));
  const settings = [
    flag.trackEvents === true ? 'trackEvents' : [],
    flag.trackEventsFallthrough === true ? 'trackEventsFallthrough' : [],
    rulesWithEvents.length > 0 ? `trackEvents of rule ${rulesWithEvents.join(', ')}` : [],
    debugEventsUntilDate === undefined ? [] : 'debugEventsUntilDate',
    flag.excludeFromSummaries === true ? 'excludeFromSummaries' : [],
    samplingRatio === undefined || samplingRatio === 1 ? [] : 'samplingRatio',
  ].flat();
  if (settings.length > 0) {
    lose(
      `Its event settings are left out (${settings.join('; ')}): SDKs send counts for each variant, and no event for a single evaluation.`,
    );
  }
  if (migration !== undefined)
    lose('It is a migration flag; its stages are plain variants here, and consistency is not checked.');
}

/** LaunchDarkly numbers its variations; ours have names. */
function namesOf({ variations }: LaunchDarklyFlag): readonly string[] {
  const names = collectVariants();
  return variations.map((value, index) => {
    const wanted = nameOfValue(value, index);
    // The same value twice is two variations.
    return names.nameOf(wanted, [index, value]);
  });
}

function nameOrMissing(names: readonly string[], index: number, lose: Lose): string {
  const name = names[index];
  if (name !== undefined) return name;
  lose(`It refers to variation ${index}, which does not exist; where that leads, the answer is an error, as in LaunchDarkly.`);
  return `missing-variation-${index}`;
}

/** Context targets say the order, and stand empty where the older list of users goes. */
function importTargets(
  { targets = [], contextTargets = [] }: LaunchDarklyFlag,
  nameAt: (index: number) => string,
): readonly Pin[] {
  const users = targets.map(({ variation, values = [] }) => ({ variant: nameAt(variation), keys: values }));
  if (contextTargets.length === 0) return users;
  return contextTargets.flatMap(({ contextKind = DEFAULT_KIND, variation, values = [] }): Pin[] => {
    if (contextKind !== DEFAULT_KIND) return [{ kind: contextKind, variant: nameAt(variation), keys: values }];
    const index = targets.findIndex((target) => target.variation === variation);
    return users.slice(index, index + 1);
  });
}

interface ServeTarget {
  readonly nameAt: (index: number) => string;
  /** What subjects are hashed with, unless the rollout has a seed. */
  readonly prefix: string;
  readonly lose: Lose;
}

function importServe({ variation, rollout }: LaunchDarklyServe, { nameAt, prefix, lose }: ServeTarget): Serve {
  if (variation !== undefined) return { variant: nameAt(variation) };
  if (rollout === undefined) {
    lose('A rule or the fallthrough gives no variation; where that leads, the answer is an error, as in LaunchDarkly.');
    return { split: { slices: [] } };
  }
  const isExperiment = rollout.kind === 'experiment';
  const { seed = 0, contextKind, bucketBy, variations = [] } = rollout;
  const slices = variations.map(({ variation: index, weight, untracked = false }) => {
    return { variant: nameAt(index), weight, ...(untracked ? { untracked } : {}) };
  });
  const bucketing = bucketingBy(seed === 0 ? prefix : String(seed), {
    contextKind,
    bucketBy: isExperiment ? undefined : bucketBy,
  });
  return { split: { slices, bucketing, ...(isExperiment ? { experiment: true } : {}) } };
}

interface By {
  readonly contextKind?: string | undefined;
  readonly bucketBy?: string | undefined;
}

function bucketingBy(salt: string, { contextKind, bucketBy = 'key' }: By): Bucketing {
  const by = [attributeOf(contextKind, bucketBy)];
  const isDefault = contextKind === undefined && bucketBy === 'key';
  return { profile: 'launchdarkly', salt, ...(isDefault ? {} : { by }) };
}

/** Without a kind, an attribute is a plain name even when it begins with a slash. */
function attributeOf(kind: string | undefined, attribute: string): AttributeReference {
  return kind === undefined ? { attribute: literalAttribute(attribute) } : { kind, attribute };
}

function importClause(clause: LaunchDarklyClause, lose: Lose): Condition {
  const { contextKind, attribute = '', op, values, negate = false } = clause;
  const not = negate ? { not: true } : {};
  if (op === 'segmentMatch') return { type: 'segment', segments: values.filter((value) => typeof value === 'string'), ...not };
  const operator = OPERATORS.get(op);
  const reference = attributeOf(contextKind, attribute);
  if (operator !== undefined) {
    const condition: AttributeCondition = { type: 'attribute', ...reference, operator, values, ...not };
    return condition;
  }
  lose(`The operator "${op}" is unknown; its clause never matches, or always when it is negated, as in LaunchDarkly.`);
  return negate ? { type: 'attribute', ...reference, operator: 'present', values: [] } : NOBODY;
}

function importSegment(segment: LaunchDarklySegment, lose: Lose): Segment {
  const { key, salt = '', included = [], excluded = [], rules = [], unbounded = false } = segment;
  if (unbounded) {
    lose('It is a big segment, whose members LaunchDarkly does not send; it has no members until they are listed.');
    return { key, included: [], excluded: [], rules: [] };
  }
  return {
    key,
    included: [...keyLists(segment.includedContexts), ...keyLists([{ values: included }])],
    excluded: [...keyLists(segment.excludedContexts), ...keyLists([{ values: excluded }])],
    rules: rules.map(({ id, clauses = [], weight, bucketBy, rolloutContextKind: contextKind }) => {
      const bucketing = bucketingBy(`${key}.${salt}`, { contextKind, bucketBy });
      const share: readonly Condition[] = weight === undefined ? [] : [{ type: 'share', weight, bucketing }];
      return { ...(id === undefined ? {} : { id }), all: [...clauses.map((clause) => importClause(clause, lose)), ...share] };
    }),
  };
}

function keyLists(lists: readonly LaunchDarklyKeys[] = []): readonly KeyList[] {
  return lists.flatMap(({ contextKind, values = [] }) =>
    values.length === 0 ? [] : [{ ...(contextKind === undefined ? {} : { kind: contextKind }), keys: values }],
  );
}
