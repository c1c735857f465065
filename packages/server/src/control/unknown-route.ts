/** What to say about an address that no route has: another method, or the address that was probably meant. */
import { AppError } from '@understudy/core/errors';

export interface KnownRoute {
  readonly method: string;
  readonly url: string;
}

/** The error, and the methods that the address has when only the method is wrong. */
export interface UnknownRoute {
  readonly error: AppError;
  readonly allow: string | undefined;
}

// Two typing errors, or one word in the singular.
const MAX_DISTANCE = 3;

export function explainUnknown(routes: readonly KnownRoute[], method: string, url: string): UnknownRoute {
  const path = url.split('?', 1)[0] ?? '/';
  const methods = new Set(routes.filter((route) => isMatch(route.url, path)).map((route) => route.method));
  if (methods.size > 0) {
    const allow = [...methods].toSorted().join(', ');
    return { error: new AppError('request.method_not_allowed', `${method} is not possible on ${path}; use ${allow}`), allow };
  }
  const meant = closestOf(routes, path);
  const hint = meant === undefined ? 'see /docs for all addresses' : `did you mean ${meant}?`;
  return { error: new AppError('request.not_found', `there is nothing at ${method} ${path}; ${hint}`), allow: undefined };
}

function isMatch(template: string, path: string): boolean {
  const [wanted, given] = [template.split('/'), path.split('/')];
  return (
    wanted.length === given.length &&
    wanted.every((part, index) => (part.startsWith(':') ? given[index] !== '' : part === given[index]))
  );
}

/** The template nearest to a path, with the path's own names in it. */
function closestOf(routes: readonly KnownRoute[], path: string): string | undefined {
  const parts = path.split('/').filter((part) => part !== '');
  const candidates = [parts, ['api', 'v1', ...parts]];
  const templates = [...new Set(routes.map((route) => route.url))];
  const ranked = templates
    .flatMap((template) => candidates.map((given) => fit(template, given)))
    .filter((found) => found.distance <= MAX_DISTANCE)
    .toSorted((a, b) => a.distance - b.distance);
  return ranked[0]?.path;
}

function fit(template: string, given: readonly string[]): { readonly path: string; readonly distance: number } {
  const wanted = template.split('/').filter((part) => part !== '');
  if (wanted.length !== given.length) return { path: template, distance: Infinity };
  let distance = 0;
  const path = wanted.map((part, index) => {
    const text = given[index] ?? '';
    if (part.startsWith(':')) return text;
    distance += editDistance(part, text.toLowerCase());
    return part;
  });
  return { path: `/${path.join('/')}`, distance };
}

/** Levenshtein distance; long texts are far from everything. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > MAX_DISTANCE) return Infinity;
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? Infinity;
}
