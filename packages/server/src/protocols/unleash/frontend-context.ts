/** The context of a frontend request as our context. Everything in it is text; flags that compare numbers get numbers. */
import type { Condition } from '@understudy/core/flags/condition';
import { type Context, DEFAULT_KIND } from '@understudy/core/flags/context';
import type { FlagDocuments } from '@understudy/core/flags/evaluator';

/** Attributes that flags compare as something else than text. */
export type AttributeTypes = ReadonlyMap<string, 'number' | 'boolean'>;

/** Who asks, and when they say that it is. */
export interface FrontendContext {
  readonly context: Context;
  readonly currentTimeMs: number | undefined;
}

type Scalar = string | number | boolean;

/** Fields and properties of a context by their names. */
export type Fields = ReadonlyMap<string, Scalar>;

/** The fields of a query string, in which properties are written `properties[name]`. */
export function fieldsOfQuery(query: Readonly<Record<string, unknown>>): Fields {
  const entries = Object.entries(query).map(([name, value]) => {
    const one: unknown = Array.isArray(value) ? value.at(-1) : value;
    return [/^properties\[(.*)\]$/s.exec(name)?.[1], name, one] as const;
  });
  // A field of the context comes before a property of the same name, as in the SDKs.
  const properties = entries.map(([property, , value]) => [property, value] as const);
  const fields = entries.map(([property, name, value]) => [property === undefined ? name : undefined, value] as const);
  return scalars([...properties, ...fields]);
}

/** The fields of a body: `{"context": {…, "properties": {…}}}`. */
export function fieldsOfBody(json: unknown): Fields {
  const context = isRecord(json) && isRecord(json['context']) ? json['context'] : {};
  const properties = isRecord(context['properties']) ? context['properties'] : {};
  return scalars([...Object.entries(properties), ...Object.entries(context)]);
}

/** The user id is our key. */
export function contextOf(fields: Fields, { address, types }: Surroundings): FrontendContext {
  const attributes = new Map<string, Scalar>([['remoteAddress', address]]);
  for (const [name, value] of fields) if (value !== '') attributes.set(name, typed(value, types.get(name)));
  attributes.delete('currentTime');
  attributes.delete('key');
  const key = attributes.get('userId');
  if (key !== undefined) attributes.set('key', key);
  const atMs = Date.parse(String(fields.get('currentTime')));
  return { context: { [DEFAULT_KIND]: Object.fromEntries(attributes) }, currentTimeMs: Number.isNaN(atMs) ? undefined : atMs };
}

interface Surroundings {
  /** Where the request comes from, for contexts that do not say. */
  readonly address: string;
  readonly types: AttributeTypes;
}

function scalars(entries: readonly (readonly [name: string | undefined, value: unknown])[]): Fields {
  const fields = new Map<string, Scalar>();
  for (const [name, value] of entries) {
    const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    if (name !== undefined && isScalar) fields.set(name, value);
  }
  return fields;
}

function typed(value: Scalar, type: 'number' | 'boolean' | undefined): Scalar {
  if (typeof value !== 'string') return type === undefined ? String(value) : value;
  if (type === 'number') return value.trim() === '' || Number.isNaN(Number(value)) ? value : Number(value);
  return type === 'boolean' && (value === 'true' || value === 'false') ? value === 'true' : value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const NUMERIC = new Set(['number-equals', 'less-than', 'less-than-or-equal', 'greater-than', 'greater-than-or-equal', 'modulo']);

/** What the conditions of all flags ask for; an attribute that some of them take for text stays text. */
export function attributeTypesOf({ flags, segments }: FlagDocuments): AttributeTypes {
  const wanted = new Map<string, Set<'number' | 'boolean' | 'text'>>();
  const look = (condition: Condition): void => {
    if ('of' in condition) condition.of.forEach(look);
    if (condition.type !== 'attribute' || (condition.kind ?? DEFAULT_KIND) !== DEFAULT_KIND) return;
    const { attribute, operator, values, compare = 'typed' } = condition;
    if (compare === 'text' || operator === 'present') return;
    const types = wanted.get(attribute) ?? new Set();
    wanted.set(attribute, types);
    if (NUMERIC.has(operator)) types.add('number');
    else for (const value of values) types.add(typeof value === 'number' || typeof value === 'boolean' ? nameOf(value) : 'text');
  };
  for (const { rules } of [...flags, ...segments]) for (const { all } of rules) all.forEach(look);
  const single = [...wanted].flatMap(([attribute, types]) => {
    const [only] = types;
    return types.size !== 1 || only === undefined || only === 'text' ? [] : [[attribute, only] as const];
  });
  return new Map(single);
}

function nameOf(value: number | boolean): 'number' | 'boolean' {
  return typeof value === 'number' ? 'number' : 'boolean';
}
