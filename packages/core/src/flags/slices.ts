/** Changes the weights of slices so that only the subjects who must move do. Ramps of flags depend on it. */
import type { Slice } from './flag.ts';

/**
 * Slices with new weights, of which as many buckets as possible keep their variant: exactly as many move as the growing
 * variants gain together. Variants grow into neighbours that shrink before they get a slice elsewhere.
 * @param weights the new weight of each variant, summing to what the slices sum to; a variant left out gets none
 * @throws RangeError when a weight is negative or not whole, or when the sums differ
 */
export function rampSlices(slices: readonly Slice[], weights: Readonly<Record<string, number>>): readonly Slice[] {
  assertSameSum(slices, weights);
  const parts = slices.map((slice) => ({ ...slice }));
  const surplus = surplusOf(slices, weights);
  for (const step of [1, -1] as const) growIntoNeighbours(parts, surplus, step);
  return merged(parts.flatMap((part) => divided(part, surplus)));
}

type Part = { -readonly [Key in keyof Slice]: Slice[Key] };

/** Buckets that a variant has above its new weight; below zero, those it lacks. */
type Surplus = Map<string, number>;

function assertSameSum(slices: readonly Slice[], weights: Readonly<Record<string, number>>): void {
  const values = Object.values(weights);
  const bad = values.find((weight) => !Number.isSafeInteger(weight) || weight < 0);
  if (bad !== undefined) throw new RangeError(`a weight is a whole number from 0 on, not ${bad}`);
  const before = slices.reduce((sum, { weight }) => sum + weight, 0);
  const after = values.reduce((sum, weight) => sum + weight, 0);
  if (before !== after) throw new RangeError(`the new weights add up to ${after}, the slices to ${before}`);
}

function surplusOf(slices: readonly Slice[], weights: Readonly<Record<string, number>>): Surplus {
  const surplus: Surplus = new Map(Object.entries(weights).map(([variant, weight]) => [variant, -weight]));
  for (const { variant, weight } of slices) surplus.set(variant, (surplus.get(variant) ?? 0) + weight);
  return surplus;
}

/** Moves the border between a growing part and the shrinking one after it (step 1) or before it (step −1). */
function growIntoNeighbours(parts: readonly Part[], surplus: Surplus, step: 1 | -1): void {
  const ordered = step === 1 ? parts : parts.toReversed();
  for (const [index, part] of ordered.entries()) {
    const neighbour = ordered[index + 1];
    if (neighbour === undefined) continue;
    const wanted = Math.max(0, -(surplus.get(part.variant) ?? 0));
    const spare = Math.max(0, surplus.get(neighbour.variant) ?? 0);
    const moved = Math.min(wanted, spare, neighbour.weight);
    part.weight += moved;
    neighbour.weight -= moved;
    give(surplus, { from: neighbour.variant, to: part.variant, weight: moved });
  }
}

/** What is left of a part, followed by what its surplus gives to variants that still lack buckets. */
function divided(part: Slice, surplus: Surplus): readonly Slice[] {
  const rest = { ...part };
  const given: Slice[] = [];
  for (const [variant, lack] of surplus) {
    const spare = Math.max(0, surplus.get(part.variant) ?? 0);
    const weight = Math.min(Math.max(0, -lack), spare, rest.weight);
    if (weight === 0) continue;
    given.push({ variant, weight });
    rest.weight -= weight;
    give(surplus, { from: part.variant, to: variant, weight });
  }
  return [rest, ...given];
}

function give(surplus: Surplus, { from, to, weight }: { from: string; to: string; weight: number }): void {
  surplus.set(from, (surplus.get(from) ?? 0) - weight);
  surplus.set(to, (surplus.get(to) ?? 0) + weight);
}

/** Without empty slices, and neighbours of the same variant as one. */
function merged(slices: readonly Slice[]): readonly Slice[] {
  const result: Part[] = [];
  for (const slice of slices) {
    const last = result.at(-1);
    if (slice.weight === 0) continue;
    if (last?.variant === slice.variant && last.untracked === slice.untracked) last.weight += slice.weight;
    else result.push({ ...slice });
  }
  return result;
}
