/** Conditions without groups: any of several lists, each of which holds as a whole. Renderers depend on it, as most systems know only lists. */
import type { Condition, ConditionGroup } from './condition.ts';

/** A condition that is not a group. */
export type SimpleCondition = Exclude<Condition, ConditionGroup>;

/** More lists than this are more rules than a person would want to see in the other system. */
const MOST_LISTS = 64;

/**
 * The lists of simple conditions of which one must hold.
 * @returns no lists when nobody meets the conditions; undefined when there would be more than 64
 */
export function listsOf(conditions: readonly Condition[]): readonly (readonly SimpleCondition[])[] | undefined {
  return product(conditions.map((condition) => listsOfOne(condition, false)));
}

type Lists = readonly (readonly SimpleCondition[])[] | undefined;

function listsOfOne(condition: Condition, isNegated: boolean): Lists {
  switch (condition.type) {
    case 'attribute':
    case 'segment':
    case 'time':
    case 'share':
      return isNegated ? negated(condition) : [[condition]];
    case 'all':
    case 'any':
    case 'none': {
      const isTurned = isNegated !== (condition.type === 'none');
      const isAll = condition.type === 'any' ? isNegated : !isNegated;
      const parts = condition.of.map((inner) => listsOfOne(inner, isTurned));
      return isAll ? product(parts) : union(parts);
    }
  }
}

/** The opposite; a share has none that other systems know. */
function negated(condition: SimpleCondition): Lists {
  switch (condition.type) {
    case 'attribute': {
      const { not = false, ifMissing = false } = condition;
      return [[{ ...condition, not: !not, ifMissing: !ifMissing }]];
    }
    case 'segment':
    case 'time':
      return [[{ ...condition, not: !(condition.not ?? false) }]];
    case 'share':
      return undefined;
  }
}

function product(parts: readonly Lists[]): Lists {
  return parts.reduce<Lists>(
    (lists, part) => {
      if (lists === undefined || part === undefined || lists.length * part.length > MOST_LISTS) return undefined;
      return lists.flatMap((list) => part.map((more) => [...list, ...more]));
    },
    [[]],
  );
}

function union(parts: readonly Lists[]): Lists {
  const lists: (readonly SimpleCondition[])[] = [];
  for (const part of parts) {
    if (part === undefined) return undefined;
    lists.push(...part);
  }
  return lists.length > MOST_LISTS ? undefined : lists;
}
