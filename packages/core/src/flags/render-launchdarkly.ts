/** Writes our documents as LaunchDarkly's, for its server-side SDKs. Almost everything has a place there. */
import { withRangesForSplits } from './bucket-attribute.ts';
import { BUCKET_COUNT } from '../bucketing.ts';
import type { AttributeCondition, Operator } from './condition.ts';
import { type AttributeReference, DEFAULT_KIND } from './context.ts';
import type { FlagDocuments } from './evaluator.ts';
import { type Flag, isEnabledVariant, isScheduled, type Serve } from './flag.ts';
import { openLosses, type Lose, type Loss } from './import-report.ts';
import { firstSalt, isHashedWith, launchDarklyHash, launchDarklySalt } from './launchdarkly-hash.ts';
import type {
  LaunchDarklyClause,
  LaunchDarklyFlag,
  LaunchDarklyRollout,
  LaunchDarklySegment,
  LaunchDarklyServe,
} from './launchdarkly-model.ts';
import { withSubjectsOnly } from './missing-subjects.ts';
import { listsOf, type SimpleCondition } from './normal-form.ts';
import type { Segment } from './segment.ts';

/** When the documents are written, and their number, which must rise with every change. */
export interface Rendering {
  readonly atMs: number;
  readonly revision: number;
}

type Versioned<Document> = Document & { readonly version: number };

/** The answer to `GET /sdk/latest-all`, and what it cannot say. */
export interface LaunchDarklyRendering {
  readonly data: {
    readonly flags: Readonly<Record<string, Versioned<LaunchDarklyFlag>>>;
    readonly segments: Readonly<Record<string, Versioned<LaunchDarklySegment>>>;
  };
  readonly losses: readonly Loss[];
}

const OPERATORS: Readonly<Partial<Record<Operator, string>>> = {
  in: 'in',
  equals: 'in',
  'number-equals': 'in',
  'starts-with': 'startsWith',
  'ends-with': 'endsWith',
  contains: 'contains',
  matches: 'matches',
  'less-than': 'lessThan',
  'less-than-or-equal': 'lessThanOrEqual',
  'greater-than': 'greaterThan',
  'greater-than-or-equal': 'greaterThanOrEqual',
  before: 'before',
  after: 'after',
  'semver-equals': 'semVerEqual',
  'semver-less-than': 'semVerLessThan',
  'semver-greater-than': 'semVerGreaterThan',
};

/** A schedule has no place there: the documents must be written again when one begins or ends. */
export function renderLaunchDarkly(documents: FlagDocuments, { atMs, revision }: Rendering): LaunchDarklyRendering {
  const { losses, loseAbout } = openLosses();
  const flags = documents.flags.map((flag) => {
    const target = { documents, lose: loseAbout(flag.key) };
    return {
      version: revision,
      ...renderFlag({ ...withWhatSdksCan(flag), on: flag.on && isScheduled(flag.schedule, atMs) }, target),
    };
  });
  const segments = documents.segments.map((segment) => {
    return { version: revision, ...renderSegment(segment, { documents, lose: loseAbout(segment.key) }) };
  });
  const data = { flags: byKey(flags), segments: byKey(segments) };
  return { data, losses };
}

/** Chance is not to be had in an SDK: where a bucket is missing, it is a hash of the user's key. */
function withWhatSdksCan(flag: Flag): Flag {
  const { key, bucketing } = flag;
  const ranged = withRangesForSplits(flag, (split) => ({
    split: { ...split, bucketing: { profile: 'launchdarkly', salt: `${key}.${bucketing.salt}`, whenMissing: 'none' } },
  }));
  return withSubjectsOnly(ranged);
}

function byKey<Document extends { readonly key: string }>(documents: readonly Document[]): Readonly<Record<string, Document>> {
  return Object.fromEntries(documents.map((document) => [document.key, document]));
}

interface Target {
  readonly documents: FlagDocuments;
  readonly lose: Lose;
}

function renderFlag(flag: Flag, { documents, lose }: Target): LaunchDarklyFlag {
  const { key, on, offVariant, variants, pins } = flag;
  const salt = launchDarklySalt(flag);
  const indexOf = (name: string): number => variants.findIndex((variant) => variant.name === name);
  const serve = (served: Serve): LaunchDarklyServe => renderServe(served, { flag, salt, indexOf, lose });
  const users = pins.filter(({ kind = DEFAULT_KIND }) => kind === DEFAULT_KIND);
  const isMixed = users.length < pins.length;
  return {
    key,
    on,
    salt,
    variations: variants.map(({ value }) => value),
    ...(offVariant === undefined ? {} : { offVariation: indexOf(offVariant) }),
    prerequisites: renderPrerequisites(flag, documents, lose),
    targets: users.map(({ variant, keys }) => ({ variation: indexOf(variant), values: keys })),
    contextTargets: isMixed
      ? pins.map(({ kind = DEFAULT_KIND, variant, keys }) => {
          return { contextKind: kind, variation: indexOf(variant), values: kind === DEFAULT_KIND ? [] : keys };
        })
      : [],
    rules: flag.rules.flatMap(({ id, all, serve: served }, index) => {
      const lists = clausesOf(all, lose);
      const rule = { id: id ?? `rule-${index}`, ...serve(served) };
      return lists.map((clauses) => ({ ...rule, clauses }));
    }),
    fallthrough: serve(flag.fallthrough),
  };
}

/** LaunchDarkly asks for one variation of each; several are one flag's worth of conditions it does not have. */
function renderPrerequisites({ prerequisites }: Flag, { flags }: FlagDocuments, lose: Lose) {
  return prerequisites.map((prerequisite) => {
    const parent = flags.find(({ key }) => key === prerequisite.flag);
    const variants = parent?.variants ?? [];
    const wanted =
      'variants' in prerequisite
        ? variants.filter(({ name }) => prerequisite.variants.includes(name))
        : variants.filter((variant) => isEnabledVariant(variant, parent?.type ?? 'json') === prerequisite.enabled);
    if (wanted.length !== 1 || ('enabled' in prerequisite && !prerequisite.enabled)) {
      lose(
        `The prerequisite "${prerequisite.flag}" allows more than one variant or being off; only its first variant counts here.`,
      );
    }
    const [first] = wanted;
    return { key: prerequisite.flag, variation: first === undefined ? -1 : variants.indexOf(first) };
  });
}

interface ServeTarget {
  readonly flag: Flag;
  /** That the flag is written with. */
  readonly salt: string;
  readonly indexOf: (variant: string) => number;
  readonly lose: Lose;
}

function renderServe(serve: Serve, { flag, salt, indexOf, lose }: ServeTarget): LaunchDarklyServe {
  if ('variant' in serve) return { variation: indexOf(serve.variant) };
  const { slices, total = BUCKET_COUNT, bucketing = flag.bucketing, experiment = false } = serve.split;
  const hash = launchDarklyHash(bucketing, flag.key);
  if (bucketing.profile !== 'launchdarkly') {
    lose(`Its buckets are those of "${bucketing.profile}": the same shares, but other users than on the server.`);
  } else if (!isHashedWith(bucketing, { key: flag.key, salt })) {
    lose(
      `A split is hashed with the salt "${bucketing.salt}"${bucketing.prefix === undefined ? '' : ` and the prefix "${bucketing.prefix}"`}, which is neither a seed of 1 to 15 digits nor "${flag.key}." and the one salt of the flag ("${salt}"): the same shares, but other users than on the server.`,
    );
  }
  const [by = { attribute: 'key' }, ...fallbacks] = bucketing.by ?? [];
  if (fallbacks.length > 0) lose(`A split falls back to other attributes than "${by.attribute}"; here it reads this one only.`);
  const rollout: LaunchDarklyRollout = {
    ...(experiment ? { kind: 'experiment' } : {}),
    ...(hash !== undefined && 'seed' in hash ? { seed: hash.seed } : {}),
    contextKind: by.kind ?? DEFAULT_KIND,
    ...(by.attribute === 'key' ? {} : { bucketBy: by.attribute }),
    variations: slices.map(({ variant, weight, untracked = false }) => ({
      variation: indexOf(variant),
      weight: total === BUCKET_COUNT ? weight : Math.round((weight * BUCKET_COUNT) / total),
      ...(untracked ? { untracked } : {}),
    })),
  };
  return { rollout };
}

/** One rule for each list; a list with a condition that has no place never matches. */
function clausesOf(conditions: Parameters<typeof listsOf>[0], lose: Lose): readonly (readonly LaunchDarklyClause[])[] {
  const lists = listsOf(conditions);
  if (lists === undefined) {
    lose('The conditions of a rule are too deeply nested for lists of clauses; the rule is left out.');
    return [];
  }
  return lists.flatMap((list) => {
    const clauses = list.map((condition) => renderCondition(condition, lose));
    return clauses.includes(undefined) ? [] : [clauses.filter((clause) => clause !== undefined)];
  });
}

function renderCondition(condition: SimpleCondition, lose: Lose): LaunchDarklyClause | undefined {
  switch (condition.type) {
    case 'attribute':
      return renderAttribute(condition, lose);
    case 'segment':
      return { attribute: '', op: 'segmentMatch', values: condition.segments, negate: condition.not ?? false };
    case 'share':
      lose('A sticky percentage as one condition of a rule has no place in a flag here; the rule is left out.');
      return undefined;
    case 'time':
      lose('A condition on the time has no place here; the rule is left out.');
      return undefined;
  }
}

function renderAttribute(condition: AttributeCondition, lose: Lose): LaunchDarklyClause | undefined {
  const { operator, values, not: negate = false, ifMissing = false, ignoreCase = false, compare = 'typed' } = condition;
  const place = placeOf(condition);
  if (ifMissing) lose(`The condition on "${condition.attribute}" also holds for users without it, but not here.`);
  if (ignoreCase) lose(`The condition on "${condition.attribute}" ignores upper and lower case, but not here.`);
  if (compare !== 'typed')
    lose(`The condition on "${condition.attribute}" compares texts and numbers with each other, but not here.`);
  // "Not in nothing" holds for every value that is there.
  if (operator === 'present') return { ...place, op: 'in', values: [], negate: !negate };
  const op = OPERATORS[operator];
  if (op !== undefined) return { ...place, op, values: operator === 'number-equals' ? values.map(Number) : values, negate };
  lose(`The operator "${operator}" has no place here; the rule is left out.`);
  return undefined;
}

function placeOf({ kind = DEFAULT_KIND, attribute }: AttributeReference) {
  return { contextKind: kind, attribute };
}

function renderSegment(segment: Segment, { lose }: Target): LaunchDarklySegment {
  const { key, included, excluded, rules } = segment;
  const shares = rules.flatMap(({ all }) => all.filter((condition) => condition.type === 'share'));
  const bucketings = shares.map(({ bucketing }) => bucketing);
  const salt = firstSalt(bucketings, key) ?? bucketings[0]?.salt ?? '';
  // Segments have no seeds.
  if (
    bucketings.some((bucketing) => !isHashedWith(bucketing, { key, salt }) || 'seed' in (launchDarklyHash(bucketing, key) ?? {}))
  ) {
    lose(
      'A percentage of it is hashed in a way that a segment here cannot be: the same share, but other users than on the server.',
    );
  }
  return {
    key,
    salt,
    included: [],
    excluded: [],
    includedContexts: included.map(({ kind = DEFAULT_KIND, keys }) => ({ contextKind: kind, values: keys })),
    excludedContexts: excluded.map(({ kind = DEFAULT_KIND, keys }) => ({ contextKind: kind, values: keys })),
    rules: rules.flatMap(({ id, all }) => {
      const share = all.find((condition) => condition.type === 'share');
      const rest = all.filter((condition) => condition !== share);
      const [by] = share?.bucketing.by ?? [];
      const weighted = {
        ...(id === undefined ? {} : { id }),
        ...(share === undefined ? {} : { weight: Math.round((share.weight * BUCKET_COUNT) / (share.total ?? BUCKET_COUNT)) }),
        ...(by === undefined ? {} : { bucketBy: by.attribute, rolloutContextKind: by.kind ?? DEFAULT_KIND }),
      };
      return clausesOf(rest, lose).map((clauses) => ({ ...weighted, clauses }));
    }),
  };
}
