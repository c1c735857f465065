/** What a guard counts in a block, added up until there is enough of it to weigh. Whole numbers, so the order of adding does not matter. */
import { addCounts, mergeMoments, type Moments } from '../evidence.ts';
import type { ArmPair, RateCounts } from './margin.ts';

/** Bad requests of all, requests per bin, or sums of a score: whatever the guard's metric is made of. */
export type GuardCounts =
  | { readonly kind: 'rate'; readonly arms: ArmPair<RateCounts> }
  | { readonly kind: 'slow'; readonly harm: ArmPair<RateCounts>; readonly safety: ArmPair<RateCounts> }
  | { readonly kind: 'bins'; readonly arms: ArmPair<readonly number[]> }
  | { readonly kind: 'score'; readonly arms: ArmPair<Moments> };

/** Both together. Counts of one guard are of one kind. */
export function addGuardCounts(left: GuardCounts, right: GuardCounts): GuardCounts {
  if (left.kind === 'rate' && right.kind === 'rate') return { kind: 'rate', arms: addPairs(left.arms, right.arms, addRates) };
  if (left.kind === 'slow' && right.kind === 'slow') {
    const [harm, safety] = [addPairs(left.harm, right.harm, addRates), addPairs(left.safety, right.safety, addRates)];
    return { kind: 'slow', harm, safety };
  }
  if (left.kind === 'bins' && right.kind === 'bins') return { kind: 'bins', arms: addPairs(left.arms, right.arms, addCounts) };
  if (left.kind === 'score' && right.kind === 'score') {
    return { kind: 'score', arms: addPairs(left.arms, right.arms, mergeMoments) };
  }
  throw new Error(`cannot add counts of kind ${right.kind} to counts of kind ${left.kind}`);
}

/** How many requests of the arm with fewer there are. Says nothing about their outcomes, so a rule may look at it. */
export function sizeOf(counts: GuardCounts): number {
  switch (counts.kind) {
    case 'rate':
    case 'score':
      return Math.min(counts.arms.champion.count, counts.arms.challenger.count);
    case 'slow':
      return Math.min(counts.harm.champion.count, counts.harm.challenger.count);
    case 'bins':
      return Math.min(sumOf(counts.arms.champion), sumOf(counts.arms.challenger));
  }
}

function addPairs<T>(left: ArmPair<T>, right: ArmPair<T>, add: (a: T, b: T) => T): ArmPair<T> {
  return { champion: add(left.champion, right.champion), challenger: add(left.challenger, right.challenger) };
}

function addRates(left: RateCounts, right: RateCounts): RateCounts {
  return { count: left.count + right.count, bad: left.bad + right.bad };
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
