/** Reads a Flagsmith environment into flags and segments that answer as Flagsmith's own engine does. */
import type { Bucketing } from './bucketing-profile.ts';
import type { AttributeReference } from './context.ts';
import type { Flag, Pin, Rule, Serve, Slice } from './flag.ts';
import { type FlagsmithIdentityKey, importFlagsmithRule } from './flagsmith-conditions.ts';
import type {
  FlagsmithDocumentRule,
  FlagsmithEngineContext,
  FlagsmithEnvironment,
  FlagsmithFeature,
  FlagsmithFeatureState,
  FlagsmithRule,
} from './flagsmith-model.ts';
import { openLosses, type Import, type Lose } from './import-report.ts';
import { collectVariants, nameOfValue, typeOf, type VariantNames } from './variant-names.ts';

/** The value that a feature has without a multivariate option. */
const CONTROL = 'control';

/** A document as the engine sees it. The import of documents and the engine's own test data meet here. */
export function engineContextOf(environment: FlagsmithEnvironment): FlagsmithEngineContext {
  const features = environment.feature_states.map(featureOf);
  const segments = environment.project.segments.map(({ id, name, rules, feature_states: states = [] }) => ({
    key: String(id),
    name,
    rules: rules.map(ruleOf),
    overrides: states.map(featureOf),
  }));
  const identities = (environment.identity_overrides ?? []).map(({ identifier, identity_features: states }) => ({
    identifier,
    features: states.map(featureOf),
  }));
  return {
    environment: { key: environment.api_key },
    features: Object.fromEntries(features.map((feature) => [feature.name, feature])),
    segments: Object.fromEntries(segments.map((segment) => [segment.key, segment])),
    identities,
  };
}

function featureOf(state: FlagsmithFeatureState): FlagsmithFeature {
  const { django_id: id, featurestate_uuid: uuid = '', feature_segment: segment } = state;
  const variants = (state.multivariate_feature_state_values ?? []).map((option, index) => ({
    value: option.multivariate_feature_option.value,
    weight: option.percentage_allocation,
    priority: option.id ?? index,
  }));
  return {
    key: id === undefined || id === null || id === 0 ? uuid : String(id),
    name: state.feature.name,
    enabled: state.enabled,
    value: state.feature_state_value,
    ...(segment === undefined || segment === null ? {} : { priority: segment.priority }),
    ...(variants.length === 0 ? {} : { variants }),
  };
}

function ruleOf({ type, conditions = [], rules = [] }: FlagsmithDocumentRule): FlagsmithRule {
  return {
    type,
    conditions: conditions.map(({ operator, property_: property, value }) => ({
      operator,
      ...(property === undefined || property === null ? {} : { property }),
      ...(value === undefined ? {} : { value }),
    })),
    rules: rules.map(ruleOf),
  };
}

/**
 * The import cannot fail: what does not fit is reported.
 * @param keyAttribute where contexts carry an identity's key, if they do; else it is `environmentKey_identifier`
 */
export function importFlagsmith(engine: FlagsmithEngineContext, keyAttribute?: AttributeReference): Import {
  const { losses, loseAbout } = openLosses();
  const identity: FlagsmithIdentityKey =
    keyAttribute === undefined ? { prefix: `${engine.environment.key}_` } : { by: [keyAttribute] };
  const segments = Object.values(engine.segments ?? {}).map(({ key, name, rules }) => {
    const target = { segment: key, identity, lose: loseAbout(key) };
    const all = rules.map((rule) => importFlagsmithRule(rule, target));
    return { key, name, included: [], excluded: [], rules: rules.length === 0 ? [] : [{ all }] };
  });
  const flags = Object.values(engine.features ?? {}).map((feature) => {
    return importFeature(feature, { engine, identity, lose: loseAbout(feature.name) });
  });
  return { flags, segments, losses };
}

interface FeatureTarget {
  readonly engine: FlagsmithEngineContext;
  readonly identity: FlagsmithIdentityKey;
  readonly lose: Lose;
}

/** Flagsmith always gives a value, enabled or not; so the flag is on, and being disabled is part of each variant. */
function importFeature(feature: FlagsmithFeature, { engine, identity, lose }: FeatureTarget): Flag {
  const names = collectVariants();
  const serve = (state: FlagsmithFeature): Serve => serveOf(state, { names, identity });
  const fallthrough = serve(feature);
  const pins = (engine.identities ?? []).flatMap(({ identifier, features }): Pin[] => {
    const state = features.find(({ name }) => name === feature.name);
    if (state === undefined) return [];
    const given = serve({ ...state, variants: [] });
    if ((state.variants ?? []).length > 0) lose(`The override for identity "${identifier}" keeps its control value only.`);
    return 'variant' in given ? [{ variant: given.variant, keys: [identifier] }] : [];
  });
  const rules = overridesOf(feature.name, engine).map(({ segment, state }): Rule => {
    return { id: segment, all: [{ type: 'segment', segments: [segment] }], serve: serve(state) };
  });
  const variants = names.variants();
  return {
    key: feature.name,
    type: typeOf(variants.map(({ value }) => value)),
    on: true,
    variants,
    prerequisites: [],
    pins,
    rules,
    fallthrough,
    bucketing: hashing(feature.key, identity),
  };
}

/** Strongest first; of equal ones the first in the document. */
function overridesOf(name: string, { segments = {} }: FlagsmithEngineContext) {
  return Object.values(segments)
    .flatMap(({ key, overrides = [] }) => {
      return overrides.filter((state) => state.name === name).map((state) => ({ segment: key, state }));
    })
    .toSorted((a, b) => strengthOf(a.state) - strengthOf(b.state));
}

function strengthOf({ priority = Number.MAX_VALUE }: { readonly priority?: number | undefined }): number {
  return priority;
}

interface ServeTarget {
  readonly names: VariantNames;
  readonly identity: FlagsmithIdentityKey;
}

function serveOf({ key, enabled, value, variants = [] }: FlagsmithFeature, { names, identity }: ServeTarget): Serve {
  const control = names.nameOf(enabled ? CONTROL : `${CONTROL}-disabled`, value, enabled);
  if (variants.length === 0) return { variant: control };
  const ordered = variants.toSorted((a, b) => strengthOf(a) - strengthOf(b));
  const slices = ordered.map((variant, index): Slice => {
    const name = variant.key ?? nameOfValue(variant.value, index);
    return { variant: names.nameOf(enabled ? name : `${name}-disabled`, variant.value, enabled), weight: variant.weight };
  });
  const taken = slices.reduce((sum, { weight }) => sum + weight, 0);
  const rest = { variant: control, weight: Math.max(0, 100 - taken) };
  return { split: { slices: [...slices, rest], total: 100, bucketing: hashing(key, identity) } };
}

/** Without an identity, Flagsmith gives the control value, which is the last slice. */
function hashing(key: string, identity: FlagsmithIdentityKey): Bucketing {
  return { profile: 'flagsmith', salt: key, whenMissing: 'none', ...identity };
}
