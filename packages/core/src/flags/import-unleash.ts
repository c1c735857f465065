/** Reads an Unleash environment into flags and segments that answer as Unleash's own SDKs do. */
import type { AttributeReference, JsonValue } from './context.ts';
import type { Condition } from './condition.ts';
import type { Bucketing } from './bucketing-profile.ts';
import type { Flag, Prerequisite, Rule, Serve, Slice } from './flag.ts';
import { openLosses, type Import, type Lose } from './import-report.ts';
import type { Segment } from './segment.ts';
import type { UnleashFeature, UnleashSegment, UnleashState, UnleashStrategy, UnleashVariant } from './unleash-model.ts';
import { importStrategyConditions, importUnleashConstraint, unleashAttribute, unleashGroup } from './unleash-strategies.ts';
import { collectVariants, typeOf, type VariantNames } from './variant-names.ts';

/** Variants of flags that came from Unleash and stand for "on, but without a variant" and for "off". */
const ENABLED = 'enabled';
const DISABLED = 'disabled';

const VARIANT_STICKINESS: readonly AttributeReference[] = ['userId', 'sessionId', 'remoteAddress'].map(unleashAttribute);

/** The import cannot fail: what does not fit is reported and never matches. */
export function importUnleash(state: UnleashState): Import {
  const { losses, loseAbout } = openLosses();
  const segments = (state.segments ?? []).map((segment) => importSegment(segment, loseAbout(String(segment.id))));
  const features = new Map(state.features.map((feature) => [feature.name, feature]));
  const flags = state.features.map((feature) => importFeature(feature, features, loseAbout(feature.name)));
  return { flags, segments, losses };
}

function importSegment({ id, name, constraints }: UnleashSegment, lose: Lose): Segment {
  const all = constraints.map((constraint) => importUnleashConstraint(constraint, lose));
  return { key: String(id), ...(name === undefined ? {} : { name }), included: [], excluded: [], rules: [{ all }] };
}

function importFeature(feature: UnleashFeature, features: ReadonlyMap<string, UnleashFeature>, lose: Lose): Flag {
  if (feature.impressionData === true) lose('Impression events are not carried over: exposure is counted for every flag.');
  const strategies = feature.strategies ?? [];
  const hasVariants = [feature, ...strategies].some(({ variants = [] }) => variants.length > 0);
  const names = collectVariants();
  const plain: Serve = { variant: names.nameOf(ENABLED, hasVariants ? ENABLED : true) };
  const offVariant = names.nameOf(DISABLED, hasVariants ? DISABLED : false, hasVariants ? false : undefined);
  const serves = (strategy: UnleashStrategy): readonly Rule[] => importStrategy(strategy, { feature, names, plain, lose });
  const own = importVariants({ variants: feature.variants ?? [], group: feature.name }, { names, plain, lose });
  const prerequisites = importDependencies(feature, features, lose);
  const rules = strategies.length === 0 ? own.overrides : strategies.flatMap(serves);
  const fallthrough = strategies.length === 0 ? own.serve : { variant: offVariant };
  const variants = names.variants();
  return {
    key: feature.name,
    type: typeOf(variants.map(({ value }) => value)),
    ...(feature.description === undefined ? {} : { description: feature.description }),
    on: feature.enabled && prerequisites !== undefined,
    offVariant,
    variants,
    prerequisites: prerequisites ?? [],
    pins: [],
    rules,
    fallthrough,
    bucketing: { profile: 'unleash', salt: feature.name, by: VARIANT_STICKINESS, whenMissing: 'random' },
  };
}

/** @returns undefined when a dependency can never be met: Unleash looks one level up only, and never past a missing parent */
function importDependencies(
  { dependencies = [] }: UnleashFeature,
  features: ReadonlyMap<string, UnleashFeature>,
  lose: Lose,
): readonly Prerequisite[] | undefined {
  for (const { feature: name } of dependencies) {
    const parent = features.get(name);
    if (parent !== undefined && (parent.dependencies ?? []).length === 0) continue;
    const why = parent === undefined ? 'does not exist' : 'has dependencies itself, which Unleash does not allow';
    lose(`It is switched off, as in Unleash it can never be on: its parent "${name}" ${why}.`);
    return undefined;
  }
  return dependencies.map(({ feature: flag, enabled = true, variants = [] }) =>
    enabled && variants.length > 0 ? { flag, variants: variants.map(parentVariant) } : { flag, enabled },
  );
}

/** Unleash calls the variant of an enabled feature without variants `disabled`. */
function parentVariant(name: string): string {
  return name === DISABLED ? ENABLED : name;
}

interface Target {
  readonly names: VariantNames;
  /** What is served where there is no variant to choose. */
  readonly plain: Serve;
  readonly lose: Lose;
}

/** A strategy is one rule, behind one more for each variant with overrides. */
function importStrategy(strategy: UnleashStrategy, target: Target & { readonly feature: UnleashFeature }): readonly Rule[] {
  const { feature, lose } = target;
  const all = importStrategyConditions(strategy, feature.name, lose);
  if (all === undefined) return [];
  const isOwn = (strategy.variants ?? []).reduce((sum, { weight }) => sum + weight, 0) > 0;
  const source: VariantSource = isOwn
    ? {
        variants: strategy.variants ?? [],
        group: unleashGroup(strategy, feature.name, lose),
        stickiness: strategy.parameters?.['stickiness'],
      }
    : { variants: feature.variants ?? [], group: feature.name };
  const { overrides, serve } = importVariants(source, target);
  return [...overrides.map((rule) => ({ ...rule, all: [...all, ...rule.all] })), { all, serve }];
}

interface VariantSource {
  readonly variants: readonly UnleashVariant[];
  readonly group: string;
  /** For variants that do not name their own. */
  readonly stickiness?: string | undefined;
}

interface ImportedVariants {
  readonly overrides: readonly Rule[];
  readonly serve: Serve;
}

function importVariants({ variants, group, stickiness }: VariantSource, { names, plain, lose }: Target): ImportedVariants {
  const total = variants.reduce((sum, { weight }) => sum + weight, 0);
  if (total <= 0) return { overrides: [], serve: plain };
  const named = variants.map((variant) => {
    const name = names.nameOf(variant.name, payloadOf(variant, lose));
    if (name !== variant.name) lose(`A variant "${variant.name}" is called "${name}" here: another one has its name already.`);
    return { variant, name };
  });
  const overrides = named.flatMap(({ variant, name }): Rule[] => {
    const of = (variant.overrides ?? []).map(({ contextName, values }): Condition => {
      return { type: 'attribute', ...unleashAttribute(contextName), operator: 'in', values, compare: 'text' };
    });
    return of.length === 0 ? [] : [{ all: [{ type: 'any', of }], serve: { variant: name } }];
  });
  const slices = named.map(({ variant, name }): Slice => ({ variant: name, weight: variant.weight }));
  const bucketing = variantBucketing(group, variants[0]?.stickiness || stickiness);
  return { overrides, serve: { split: { slices, total, bucketing } } };
}

function variantBucketing(group: string, stickiness = 'default'): Bucketing {
  const by = stickiness === 'default' ? VARIANT_STICKINESS : [unleashAttribute(stickiness)];
  return { profile: 'unleash', salt: group, by, whenMissing: 'random' };
}

/** A variant's payload as a value; without one, the variant's name. */
function payloadOf({ name, payload }: UnleashVariant, lose: Lose): JsonValue {
  if (payload === undefined) return name;
  if (payload.type === 'number' && payload.value.trim() !== '' && Number.isFinite(Number(payload.value))) {
    return Number(payload.value);
  }
  if (payload.type === 'json') {
    const parsed = parsedJson(payload.value);
    if (parsed !== undefined) return parsed;
  }
  if (payload.type !== 'string') {
    lose(`The payload of variant "${name}" is kept as text: it is of type "${payload.type}" or cannot be read as one.`);
  }
  return payload.value;
}

function parsedJson(text: string): JsonValue | undefined {
  try {
    const value: JsonValue = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}
