/** What a rule or a segment asks of a context. Documents are made of these; the compiler turns them into closures. */
import type { AttributeReference, JsonValue } from './context.ts';
import type { Bucketing } from './bucketing-profile.ts';

/**
 * How an attribute and the values of a condition are brought together.
 * `typed`: both must have the right type, any element of a list may match (LaunchDarkly).
 * `text`: the attribute's text, numbers and versions read out of it (Unleash).
 * `cast`: the values are cast to the type of the attribute (Flagsmith).
 */
export type Comparison = 'typed' | 'text' | 'cast';

/** Every test that one of the four flag systems has. */
export const OPERATORS = [
  'in',
  'equals',
  'starts-with',
  'ends-with',
  'contains',
  'matches',
  'number-equals',
  'less-than',
  'less-than-or-equal',
  'greater-than',
  'greater-than-or-equal',
  'before',
  'after',
  'semver-equals',
  'semver-less-than',
  'semver-less-than-or-equal',
  'semver-greater-than',
  'semver-greater-than-or-equal',
  'in-network',
  'modulo',
  'present',
] as const;
export type Operator = (typeof OPERATORS)[number];

/** Tests one attribute; true when any of the values satisfies the operator. */
export interface AttributeCondition extends AttributeReference {
  readonly type: 'attribute';
  readonly operator: Operator;
  /** What it is compared with: `modulo` takes `divisor|remainder`, `present` takes nothing. */
  readonly values: readonly JsonValue[];
  /** Turns the answer around; an absent attribute is not touched by it. */
  readonly not?: boolean;
  /** The answer for an absent attribute, default false. */
  readonly ifMissing?: boolean;
  /** Of `starts-with`, `ends-with`, `contains` and `matches`. */
  readonly ignoreCase?: boolean;
  /** Default `typed`. */
  readonly compare?: Comparison;
}

/** Whether the context is in any of the segments. An unknown segment has no members. */
export interface SegmentCondition {
  readonly type: 'segment';
  readonly segments: readonly string[];
  readonly not?: boolean;
}

/** Whether the subject's bucket is in the first part: a percentage that is sticky. */
export interface ShareCondition {
  readonly type: 'share';
  /** In {@link total}-ths, in [0, total]. */
  readonly weight: number;
  /** Default 100 000. */
  readonly total?: number;
  /** Counts a bucket on the border in, as Flagsmith's percentage split does. */
  readonly inclusive?: boolean;
  readonly bucketing: Bucketing;
}

/** Whether the time of the evaluation is strictly before or after a moment. */
export interface TimeCondition {
  readonly type: 'time';
  readonly is: 'before' | 'after';
  readonly atMs: number;
  readonly not?: boolean;
}

/** `all` of nothing and `none` of nothing hold, `any` of nothing does not. */
export interface ConditionGroup {
  readonly type: 'all' | 'any' | 'none';
  readonly of: readonly Condition[];
}

export type Condition = AttributeCondition | SegmentCondition | ShareCondition | TimeCondition | ConditionGroup;

/** The condition that nobody meets. */
export const NOBODY: ConditionGroup = { type: 'any', of: [] };
