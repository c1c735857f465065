/** Which variant an SDK gave to the context of an event that does not say so: evaluated as the SDK does, with its hash and its gaps. */
import type { Context, JsonValue } from '@understudy/core/flags/context';
import { compileFlags, type Evaluator } from '@understudy/core/flags/evaluator';
import type { Flag } from '@understudy/core/flags/flag';
import { importLaunchDarkly } from '@understudy/core/flags/import-launchdarkly';
import { isJsonObject, type JsonObject } from '../edge/json-shape.ts';
import type { Edition } from './edition.ts';

export interface Attribution {
  /** The variant of one flag; undefined when it cannot be told. */
  of(flag: string, event: JsonValue): string | undefined;
  /** The variants of all flags that choose the version of a model. */
  ofVersions(event: JsonValue): readonly { readonly flag: string; readonly variant: string }[];
}

// As `flagsOfRollout` calls them.
const VERSION_FLAG = /.-version$/;

/** Compiles nothing until the first question. */
export function attributionOf({ state, data }: Pick<Edition, 'state' | 'data'>, atMs: number): Attribution {
  const { flags } = state.documents;
  const byKey = new Map(flags.map((flag) => [flag.key, flag]));
  let sdk: AsSdk | undefined;
  const of = (key: string, event: JsonValue): string | undefined => {
    const flag = byKey.get(key);
    const seen = contextOf(event);
    if (flag === undefined || seen === undefined || (!seen.isWhole && readsAttributes(flag))) return undefined;
    sdk ??= asSdk(data);
    const variant = sdk.evaluator.evaluate(key, seen.context, { atMs, random: Math.random }).variant;
    const index = sdk.variantsOf(key).findIndex(({ name }) => name === variant);
    return flag.variants[index]?.name;
  };
  return {
    of,
    ofVersions: (event) =>
      flags.flatMap(({ key: flag, type }) => {
        const variant = type === 'string' && VERSION_FLAG.test(flag) ? of(flag, event) : undefined;
        return variant === undefined ? [] : [{ flag, variant }];
      }),
  };
}

/** Whether more than the keys of a context decides: what is private is held back, keys never are. */
function readsAttributes({ rules, fallthrough, bucketing }: Flag): boolean {
  const { by = [] } = ('split' in fallthrough ? fallthrough.split.bucketing : undefined) ?? bucketing;
  return rules.length > 0 || by.some(({ attribute }) => attribute !== 'key');
}

interface AsSdk {
  readonly evaluator: Evaluator;
  variantsOf(key: string): Flag['variants'];
}

/** What was sent, read back: a condition that could not be said to SDKs is missing here too. */
function asSdk(data: Edition['data']): AsSdk {
  const documents = importLaunchDarkly(data);
  const variants = new Map(documents.flags.map((flag) => [flag.key, flag.variants]));
  // A pattern that an SDK matches in its own way is not guessed at: the evaluator answers with an error, which is no variant.
  const compileRegex = () => (): boolean => {
    throw new Error('patterns are not evaluated for attribution');
  };
  return { evaluator: compileFlags(documents, { compileRegex }), variantsOf: (key) => variants.get(key) ?? [] };
}

interface SeenContext {
  readonly context: Context;
  /** Whether no attribute was held back as private. */
  readonly isWhole: boolean;
}

function contextOf(event: JsonValue): SeenContext | undefined {
  if (!isJsonObject(event)) return undefined;
  const { context, contextKeys } = event;
  // Older SDKs send only the keys of a context with custom events.
  if (!isJsonObject(context)) return isJsonObject(contextKeys) ? { context: keysOnly(contextKeys), isWhole: false } : undefined;
  const { kind = 'user', ...rest } = context;
  if (typeof kind !== 'string') return undefined;
  const entities = Object.entries(kind === 'multi' ? rest : { [kind]: rest });
  return {
    context: Object.fromEntries(entities.map(([name, entity]) => [name, attributesOf(entity)])),
    isWhole: entities.every(([, entity]) => !hasRedacted(entity)),
  };
}

function keysOnly(keys: JsonObject): Context {
  return Object.fromEntries(Object.entries(keys).map(([kind, key]) => [kind, { key }]));
}

function attributesOf(entity: JsonValue | undefined): JsonObject {
  if (!isJsonObject(entity)) return {};
  const { _meta: _hidden, ...attributes } = entity;
  return attributes;
}

function hasRedacted(entity: JsonValue | undefined): boolean {
  const meta = isJsonObject(entity) ? entity['_meta'] : undefined;
  const redacted = isJsonObject(meta) ? meta['redactedAttributes'] : undefined;
  return Array.isArray(redacted) && redacted.length > 0;
}
