/** What a guard counts in a block, added up until there is enough of it to weigh. Whole numbers, so the order of adding does not matter. */
import { addCounts, mergeMoments, type Moments } from '../evidence.ts';
import { mergeMoves, type Moves } from '../pairs.ts';
import type { ArmPair, RateCounts } from './margin.ts';
import { addPairCounts, type PairCounts } from './paired-test.ts';

/**
 * Bad requests of all, requests per bin, or sums of a score: whatever the guard's metric is made of. The last four are of
 * shadow steps, where both versions got the same requests.
 */
export type GuardCounts =
  | { readonly kind: 'rate'; readonly arms: ArmPair<RateCounts> }
  | { readonly kind: 'slow'; readonly harm: ArmPair<RateCounts>; readonly safety: ArmPair<RateCounts> }
  | { readonly kind: 'bins'; readonly arms: ArmPair<readonly number[]> }
  | { readonly kind: 'score'; readonly arms: ArmPair<Moments> }
  | { readonly kind: 'pairs'; readonly pairs: PairCounts }
  | { readonly kind: 'slow-pairs'; readonly harm: PairCounts; readonly safety: PairCounts }
  | { readonly kind: 'moves'; readonly moves: Moves }
  | { readonly kind: 'agreement'; readonly pairs: RateCounts };

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
  if (left.kind === 'pairs' && right.kind === 'pairs') return { kind: 'pairs', pairs: addPairCounts(left.pairs, right.pairs) };
  if (left.kind === 'slow-pairs' && right.kind === 'slow-pairs') {
    return {
      kind: 'slow-pairs',
      harm: addPairCounts(left.harm, right.harm),
      safety: addPairCounts(left.safety, right.safety),
    };
  }
  if (left.kind === 'moves' && right.kind === 'moves') return { kind: 'moves', moves: mergeMoves(left.moves, right.moves) };
  if (left.kind === 'agreement' && right.kind === 'agreement') {
    return { kind: 'agreement', pairs: addRates(left.pairs, right.pairs) };
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
    case 'pairs':
    case 'agreement':
      return counts.pairs.count;
    case 'slow-pairs':
      return counts.harm.count;
    case 'moves':
      return counts.moves.reduce((sum, [, , count]) => sum + count, 0);
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
