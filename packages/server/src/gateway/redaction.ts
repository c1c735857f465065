/** Makes requests fit to be kept with examples: what people asked to hide is hidden, and none is long. */
import { isJsonObject } from './json-text.ts';

/** What stands in the place of a hidden value. */
const HIDDEN = '[redacted]';

// An example is at most 4 KB, and most of it is not the request.
const MAX_LENGTH = 3000;

/**
 * A request as JSON text.
 * @param paths of object keys joined by dots, such as `user.name`; `*` stands for every element or key
 */
export function redacted(document: unknown, paths: readonly string[]): string {
  const hidden = paths.reduce((value, path) => hide(value, path.split('.')), document);
  const text = JSON.stringify(hidden) ?? 'null';
  return text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH)}…`;
}

/** A copy with the value at the path replaced; what is beside the path is shared with the original. */
function hide(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined) return HIDDEN;
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => (key === '*' || key === String(index) ? hide(item, rest) : item));
  }
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, key === '*' || key === name ? hide(item, rest) : item]),
  );
}
