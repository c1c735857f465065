/** Records by names that people chose, added up name by name. Tallies and pairs are merged with it. */

/** Everything of both; what has one name is merged. */
export function mergeNamed<T>(
  left: Readonly<Record<string, T>>,
  right: Readonly<Record<string, T>>,
  merge: (a: T, b: T) => T,
): Readonly<Record<string, T>> {
  const added = Object.entries(right);
  if (added.length === 0) return left;
  // A map, as the names are the user's: `constructor` and `__proto__` must count like any other.
  const merged = new Map(Object.entries(left));
  for (const [name, value] of added) {
    const present = merged.get(name);
    merged.set(name, present === undefined ? value : merge(present, value));
  }
  return Object.fromEntries(merged);
}
