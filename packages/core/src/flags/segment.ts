/** A named group of subjects that the rules of flags refer to. */
import type { Condition } from './condition.ts';

/** Keys of one kind. */
export interface KeyList {
  /** Default `user`. */
  readonly kind?: string;
  readonly keys: readonly string[];
}

/** Members meet all conditions of a rule. */
export interface SegmentRule {
  readonly id?: string;
  readonly all: readonly Condition[];
}

/** Listed as included: a member. Else listed as excluded: not. Else a member when any rule holds. */
export interface Segment {
  readonly key: string;
  readonly name?: string;
  readonly included: readonly KeyList[];
  readonly excluded: readonly KeyList[];
  readonly rules: readonly SegmentRule[];
}
