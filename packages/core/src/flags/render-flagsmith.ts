/** Writes our documents as a Flagsmith environment, for SDKs that evaluate locally. Rules become segments that override the feature. */
import { BUCKET_COUNT } from '../bucketing.ts';
import { murmur3 } from '../murmur3.ts';
import { withRangesForSplits } from './bucket-attribute.ts';
import type { Bucketing } from './bucketing-profile.ts';
import { DEFAULT_KIND } from './context.ts';
import type { FlagDocuments } from './evaluator.ts';
import { type Flag, isEnabledVariant, isScheduled, type Rule, type Serve, slicesOf } from './flag.ts';
import type { FlagsmithDocumentRule, FlagsmithEnvironment, FlagsmithFeatureState } from './flagsmith-model.ts';
import { flagsmithRule, isListable, keysRule } from './flagsmith-rules.ts';
import { flagsmithValue } from './flagsmith-value.ts';
import { openLosses, type Lose, type Loss } from './import-report.ts';
import { instantText } from './instant.ts';

/** Whose documents they are, and when they are written. */
export interface FlagsmithTarget {
  readonly atMs: number;
  /** The key is part of every hash: another one moves everybody. */
  readonly environment: { readonly key: string; readonly name: string };
}

/** The answer to `GET /api/v1/environment-document/`, and what it cannot say. */
export interface FlagsmithRendering {
  readonly data: FlagsmithEnvironment;
  readonly losses: readonly Loss[];
}

type Segment = FlagsmithEnvironment['project']['segments'][number];
type IdentityOverride = NonNullable<FlagsmithEnvironment['identity_overrides']>[number];

/** One flag there. */
interface Feature {
  readonly state: FlagsmithFeatureState;
  readonly segments: readonly Segment[];
  readonly overrides: readonly IdentityOverride[];
}

/** A schedule has no place there: the documents must be written again when one begins or ends. */
export function renderFlagsmith(documents: FlagDocuments, { atMs, environment }: FlagsmithTarget): FlagsmithRendering {
  const { losses, loseAbout } = openLosses();
  const flags = documents.flags.map((flag) => ({
    ...withRangesForSplits(flag),
    on: flag.on && isScheduled(flag.schedule, atMs),
  }));
  const features = flags.map((flag) => {
    return renderFlag(flag, { documents: { ...documents, flags }, prefix: `${environment.key}_`, lose: loseAbout(flag.key) });
  });
  const identities = Map.groupBy(
    features.flatMap(({ overrides }) => overrides),
    ({ identifier }) => identifier,
  );
  const data: FlagsmithEnvironment = {
    id: idOf(environment.name),
    api_key: environment.key,
    name: environment.name,
    updated_at: instantText(atMs),
    project: {
      id: 1,
      name: 'understudy',
      organisation: { id: 1, name: 'understudy' },
      segments: features.flatMap(({ segments }) => segments),
    },
    feature_states: features.map(({ state }) => state),
    identity_overrides: [...identities].map(([identifier, overrides]) => ({
      identifier,
      identity_features: overrides.flatMap(({ identity_features: states }) => states),
    })),
  };
  return { data, losses };
}

interface Target {
  readonly documents: FlagDocuments;
  /** What Flagsmith puts before an identifier when it hashes. */
  readonly prefix: string;
  readonly lose: Lose;
}

/** A whole number for a text that never changes; zero is none there. */
function idOf(text: string): number {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : (murmur3(text, 0) >>> 1) + 1;
}

/** A name that no variant of a document has. */
const OFF = { variant: '' } as const;

/** The same flag with a variant for being off, which counts as enabled only where a boolean is true. */
function withOff(flag: Flag): Flag {
  const variant = flag.variants.find(({ name }) => name === flag.offVariant);
  const enabled = variant !== undefined && flag.type === 'boolean' && isEnabledVariant(variant, flag.type);
  return { ...flag, variants: [{ name: OFF.variant, value: variant?.value ?? null, enabled }, ...flag.variants] };
}

function renderFlag(document: Flag, target: Target): Feature {
  const flag = withOff(document);
  const off: Feature = { state: stateOf(flag, OFF, target), segments: [], overrides: [] };
  if (!flag.on) return off;
  const [prerequisite] = flag.prerequisites;
  if (prerequisite === undefined) return renderRules(flag, target);
  const parent = target.documents.flags.find(({ key }) => key === prerequisite.flag);
  const mirror = parent === undefined ? undefined : mirrorOf(flag, parent);
  if (mirror !== undefined && parent !== undefined) return renderMirror(mirror, parent, target);
  target.lose('Prerequisites have no place here, other than those of a flag that follows the first slice of another; it is off.');
  return off;
}

function renderRules(flag: Flag, target: Target): Feature {
  const pins = pinsOf(flag, target);
  const segments = flag.rules.flatMap((rule, index): readonly Segment[] => {
    const rules = flagsmithRule(rule.all, { segments: target.documents.segments, lose: target.lose });
    if (rules === undefined) return [];
    const id = segmentIdOf(flag, rule, { index, target });
    return [segmentOf(flag, { id, index: pins.segments.length + index, rules, serve: rule.serve }, target)];
  });
  return {
    state: stateOf(flag, flag.fallthrough, target),
    segments: [...pins.segments, ...segments],
    overrides: pins.overrides,
  };
}

interface RenderedRule {
  readonly id: number;
  readonly index: number;
  readonly rules: FlagsmithDocumentRule;
  readonly serve: Serve;
}

/** The first rule has the strongest priority, zero. */
function segmentOf(flag: Flag, { id, index, rules, serve }: RenderedRule, target: Target): Segment {
  const state = { ...stateOf(flag, serve, target), feature_segment: { priority: index } };
  return { id, name: `${flag.key}-${index + 1}`, rules: [rules], feature_states: [state] };
}

/** A percentage is hashed with the id of its segment, which is then the percentage's own. */
function segmentIdOf(flag: Flag, { all }: Rule, { index, target }: { readonly index: number; readonly target: Target }): number {
  const shares = all.filter((condition) => condition.type === 'share');
  const [share] = shares;
  if (share === undefined) return idOf(`${flag.key}#${index}`);
  const { profile, salt, prefix } = share.bucketing;
  if (shares.length > 1 || profile !== 'flagsmith' || prefix !== target.prefix || String(idOf(salt)) !== salt) {
    target.lose(
      'A percentage in a rule is hashed in a way that Flagsmith does not: the same share, but other users than on the server.',
    );
  }
  return idOf(salt);
}

/** Identities whose ids SDKs would take apart are pinned by segments, which come before those of all rules. */
function pinsOf(flag: Flag, target: Target): Pick<Feature, 'segments' | 'overrides'> {
  const users = flag.pins.filter(({ kind = DEFAULT_KIND }) => kind === DEFAULT_KIND);
  const kinds = new Set(flag.pins.flatMap(({ kind = DEFAULT_KIND }) => (kind === DEFAULT_KIND ? [] : [kind])));
  for (const kind of kinds) target.lose(`Pins of the kind "${kind}" have no place here.`);
  const overrides = users.flatMap(({ variant, keys }) => {
    const state = stateOf(flag, { variant }, target);
    return keys.filter(isListable).map((identifier) => ({ identifier, identity_features: [state] }));
  });
  const apart = users.map(({ variant, keys }) => ({ variant, keys: keys.filter((key) => !isListable(key)) }));
  const segments = apart
    .filter(({ keys }) => keys.length > 0)
    .map(({ variant, keys }, index) => {
      return segmentOf(flag, { id: idOf(`${flag.key}#pin-${index}`), index, rules: keysRule(keys), serve: { variant } }, target);
    });
  return { segments, overrides };
}

/** A boolean flag that is true where another flag gives one variant. */
interface Mirror {
  readonly flag: Flag;
  readonly variant: string;
  /** The part of everybody that has the variant by its bucket, in percent. */
  readonly percent: number;
}

function mirrorOf(flag: Flag, parent: Flag): Mirror | undefined {
  const [prerequisite] = flag.prerequisites;
  const isPlain =
    flag.prerequisites.length === 1 && flag.pins.length === 0 && flag.rules.length === 0 && 'variant' in flag.fallthrough;
  if (!isPlain || prerequisite === undefined || !('variants' in prerequisite) || prerequisite.variants.length !== 1)
    return undefined;
  const [variant = ''] = prerequisite.variants;
  if (!parent.on) return { flag, variant, percent: 0 };
  if (parent.prerequisites.length > 0 || parent.rules.some(({ serve }) => 'split' in serve)) return undefined;
  const slices = slicesOf(parent.fallthrough);
  const [first] = slices;
  const others = slices.slice(1).some((slice) => slice.variant === variant);
  if (others) return undefined;
  const total = 'split' in parent.fallthrough ? (parent.fallthrough.split.total ?? BUCKET_COUNT) : BUCKET_COUNT;
  return { flag, variant, percent: first?.variant === variant ? (first.weight * 100) / total : 0 };
}

/** The same segments and pins as the parent's, and last a percentage hashed as the parent is: its segment has the parent's id. */
function renderMirror({ flag, variant, percent }: Mirror, parent: Flag, target: Target): Feature {
  const follow = (serve: Serve): Serve => ('variant' in serve && serve.variant === variant ? flag.fallthrough : OFF);
  const pins = parent.pins.map((pin) => ({ ...pin, variant: nameOf(follow({ variant: pin.variant })) }));
  const rules = parent.rules.map((rule) => ({ ...rule, serve: follow(rule.serve) }));
  const rendered = renderRules({ ...flag, pins: parent.on ? pins : [], rules: parent.on ? rules : [], fallthrough: OFF }, target);
  if (percent === 0) return rendered;
  const everybody: FlagsmithDocumentRule = { type: 'ALL', conditions: [], rules: [] };
  // A border belongs to the percentage but not to a slice; points lie 0.01 apart.
  const value = String(percent >= 100 ? 100 : percent - 1e-6);
  const split = { ...everybody, conditions: [{ operator: 'PERCENTAGE_SPLIT', property_: '$.identity.key', value }] };
  const index = 1 + Math.max(-1, ...rendered.segments.flatMap(({ feature_states: states = [] }) => states.map(priorityOf)));
  const last = segmentOf(flag, { id: idOf(bucketingOf(parent).salt), index, rules: split, serve: flag.fallthrough }, target);
  return { ...rendered, segments: [...rendered.segments, last] };
}

function priorityOf({ feature_segment: segment }: FlagsmithFeatureState): number {
  return segment?.priority ?? 0;
}

function nameOf(serve: Serve): string {
  return 'variant' in serve ? serve.variant : '';
}

function bucketingOf({ fallthrough, bucketing }: Flag): Bucketing {
  return 'split' in fallthrough ? (fallthrough.split.bucketing ?? bucketing) : bucketing;
}

/** The last slice is the control value; the others are options, in the order of their ids. */
function stateOf(flag: Flag, serve: Serve, target: Target): FlagsmithFeatureState {
  const slices = slicesOf(serve);
  const split = 'split' in serve ? serve.split : undefined;
  const bucketing = split?.bucketing ?? flag.bucketing;
  const total = split?.total ?? BUCKET_COUNT;
  if (split !== undefined) loseHash(bucketing, target);
  const values = slices.map(({ variant: name }) => flag.variants.find((variant) => variant.name === name));
  const enabled = values.map((variant) => variant !== undefined && isEnabledVariant(variant, flag.type));
  if (new Set(enabled).size > 1) target.lose('Some slices are enabled and others not; here they all are as the last one is.');
  return {
    django_id: idOf(bucketing.salt),
    enabled: enabled.at(-1) ?? false,
    feature_state_value: flagsmithValue(values.at(-1)?.value ?? null),
    feature: { id: idOf(flag.key), name: flag.key, type: slices.length > 1 ? 'MULTIVARIATE' : 'STANDARD' },
    multivariate_feature_state_values: slices.slice(0, -1).map(({ weight }, index) => ({
      id: index + 1,
      percentage_allocation: (weight * 100) / total,
      multivariate_feature_option: { id: index + 1, value: flagsmithValue(values[index]?.value ?? null) },
    })),
  };
}

function loseHash({ profile, salt, prefix, by }: Bucketing, { prefix: wanted, lose }: Target): void {
  if (profile !== 'flagsmith') {
    lose(`Its buckets are those of "${profile}": the same shares, but other users than on the server.`);
  } else if (String(idOf(salt)) !== salt || prefix !== wanted || by !== undefined) {
    lose(
      'Its subjects are hashed with another id, environment or attribute than Flagsmith does: other users than on the server.',
    );
  }
}
