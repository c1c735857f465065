/** Checks of JSON that came from outside: each says the first thing that is wrong. The check of snapshots is made of these. */

/** @returns what is wrong and where; undefined when nothing is */
export type Shape = (value: unknown, where: string) => string | undefined;

/** A text. */
export const text: Shape = (value, where) => (typeof value === 'string' ? undefined : `${where} is not a text`);

/** True or false. */
export const truth: Shape = (value, where) => (typeof value === 'boolean' ? undefined : `${where} is not true or false`);

/** A finite number of at least 0. */
export const amount: Shape = (value, where) =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? undefined : `${where} is not a number from 0 on`;

/** Any JSON, but not absent. */
export const json: Shape = (value, where) => (value === undefined ? `${where} is missing` : undefined);

/** One of a few texts: another one cannot be evaluated. */
export function oneOf(known: readonly string[]): Shape {
  return (value, where) =>
    typeof value === 'string' && known.includes(value)
      ? undefined
      : `${where} is ${JSON.stringify(value)}, which is unknown here`;
}

/** A list of things of one shape. */
export function listOf(element: Shape): Shape {
  return (value, where) => {
    if (!Array.isArray(value)) return `${where} is not a list`;
    for (const [index, one] of value.entries()) {
      const problem = element(one, `${where}[${index}]`);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

/** An object with fields; others are passed over, as they are of a newer server and change no answer. */
export function record(required: Readonly<Record<string, Shape>>, optional: Readonly<Record<string, Shape>> = {}): Shape {
  return (value, where) => {
    if (!isRecord(value)) return `${where} is not an object`;
    for (const [name, shape] of Object.entries(required)) {
      const problem = shape(own(value, name), `${where}.${name}`);
      if (problem !== undefined) return problem;
    }
    for (const [name, shape] of Object.entries(optional)) {
      const field = own(value, name);
      const problem = field === undefined ? undefined : shape(field, `${where}.${name}`);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

/** An object of the one shape when it has the field, else of the other. */
export function byField(name: string, shapes: { readonly present: Shape; readonly absent: Shape }): Shape {
  return (value, where) => (isRecord(value) && own(value, name) !== undefined ? shapes.present : shapes.absent)(value, where);
}

/** An object whose field names its shape. */
export function byTag(tag: string, shapes: Readonly<Record<string, Shape>>): Shape {
  return (value, where) => {
    const name = isRecord(value) ? own(value, tag) : undefined;
    const shape = typeof name === 'string' && Object.hasOwn(shapes, name) ? shapes[name] : undefined;
    return shape === undefined ? `${where}.${tag} is ${JSON.stringify(name)}, which is unknown here` : shape(value, where);
  };
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(value: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}
