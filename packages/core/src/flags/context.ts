/** What a flag is asked about: entities of one or more kinds with their attributes. Conditions and bucketing read it. */

/** Any JSON value. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** The attributes of one entity. Its sticky key is the attribute `key`. */
export type Attributes = Readonly<Record<string, JsonValue | undefined>>;

/** Entities by their kind. Most callers know one kind, {@link DEFAULT_KIND}. */
export type Context = Readonly<Record<string, Attributes | undefined>>;

/** The kind meant when none is named. */
export const DEFAULT_KIND = 'user';

/** The attribute that holds the list of the context's kinds; it cannot be a real attribute. */
const KIND_ATTRIBUTE = 'kind';

/**
 * Names an attribute: a plain name, or after a slash the way into objects, `/address/city`, where `~1` is a slash and
 * `~0` a tilde.
 */
export interface AttributeReference {
  /** Default {@link DEFAULT_KIND}. */
  readonly kind?: string;
  readonly attribute: string;
}

/** Reads an attribute; undefined when the context does not have it. */
export type AttributeReader = (context: Context) => JsonValue | undefined;

/** A reference to an attribute whose name is taken as it is, slashes and tildes included. */
export function literalAttribute(name: string): string {
  return name.startsWith('/') ? `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}` : name;
}

/** @returns undefined when the reference is malformed: empty, with an empty part, or with a tilde that escapes nothing */
export function compileReader({ kind = DEFAULT_KIND, attribute }: AttributeReference): AttributeReader | undefined {
  const path = pathOf(attribute);
  const [name, ...rest] = path ?? [];
  if (name === undefined) return undefined;
  if (name === KIND_ATTRIBUTE && rest.length === 0) return kindsOf;
  if (rest.length === 0) return (context) => ownValue(ownValue(context, kind), name);
  return (context) => {
    let value = ownValue(ownValue(context, kind), name);
    for (const part of rest) value = isRecord(value) ? ownValue(value, part) : undefined;
    return value;
  };
}

function kindsOf(context: Context): readonly string[] {
  return Object.keys(context).filter((kind) => context[kind] !== undefined);
}

/** The parts of a reference; undefined when it is malformed. */
function pathOf(attribute: string): readonly string[] | undefined {
  if (attribute === '') return undefined;
  if (!attribute.startsWith('/')) return [attribute];
  const parts = attribute.slice(1).split('/');
  if (parts.some((part) => part === '' || /~(?:[^01]|$)/.test(part))) return undefined;
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

// Own properties only, so that `constructor` or `__proto__` is an attribute like any other.
function ownValue<Value>(record: Readonly<Record<string, Value>> | undefined, name: string): Value | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}

function isRecord(value: JsonValue | undefined): value is { readonly [name: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
