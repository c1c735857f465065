/** A feature flag as a document: variants, pins, ordered rules and percentage slices. Evaluation, imports and renderers depend on it. */
import { BUCKET_COUNT } from '../bucketing.ts';
import type { Bucketing } from './bucketing-profile.ts';
import type { Condition } from './condition.ts';
import type { JsonValue } from './context.ts';

/** What all values of a flag are. */
export type FlagType = 'boolean' | 'string' | 'number' | 'json';

/** One value that a flag can have. The order of a flag's variants is their number in LaunchDarkly. */
export interface Variant {
  readonly name: string;
  readonly value: JsonValue;
  /** Whether systems that separate "enabled" from the value call it enabled: default true, for booleans the value itself. */
  readonly enabled?: boolean;
}

/** A part of all buckets. A variant may have several slices: that is how a ramp moves nobody it need not move. */
export interface Slice {
  readonly variant: string;
  readonly weight: number;
  /** Kept out of the experiment's evidence. */
  readonly untracked?: boolean;
}

/** Divides subjects by their bucket, in the order of the slices; the last one also takes what the others leave over. */
export interface Split {
  readonly slices: readonly Slice[];
  /** What the weights add up to, default 100 000. */
  readonly total?: number;
  /** Default: the flag's. */
  readonly bucketing?: Bucketing;
  readonly experiment?: boolean;
}

/** What a rule gives. */
export type Serve = { readonly variant: string } | { readonly split: Split };

/** Gives certain subjects a variant before any rule. */
export interface Pin {
  readonly variant: string;
  /** Default `user`. */
  readonly kind?: string;
  readonly keys: readonly string[];
}

/** Another flag that must be on and have one of these variants, or be enabled or not, before this flag is more than off. */
export type Prerequisite =
  | { readonly flag: string; readonly variants: readonly string[] }
  | { readonly flag: string; readonly enabled: boolean };

/** The first rule whose conditions all hold decides. */
export interface Rule {
  readonly id?: string;
  readonly all: readonly Condition[];
  readonly serve: Serve;
}

/** The flag counts as off before `fromMs` and from `untilMs` on. */
export interface Schedule {
  readonly fromMs?: number;
  readonly untilMs?: number;
}

/** Order of evaluation: kill switch and schedule, prerequisites, pins, rules, fallthrough. */
export interface Flag {
  readonly key: string;
  readonly type: FlagType;
  readonly description?: string;
  /** The kill switch: false gives everybody the off variant. */
  readonly on: boolean;
  /** Absent: the caller's own default. */
  readonly offVariant?: string;
  readonly variants: readonly Variant[];
  readonly schedule?: Schedule;
  readonly prerequisites: readonly Prerequisite[];
  readonly pins: readonly Pin[];
  readonly rules: readonly Rule[];
  readonly fallthrough: Serve;
  readonly bucketing: Bucketing;
}

/** Whether a schedule lets a flag be on at a moment. */
export function isScheduled(schedule: Schedule | undefined, atMs: number): boolean {
  if (schedule === undefined) return true;
  const { fromMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = schedule;
  return fromMs <= atMs && atMs < untilMs;
}

/** Whether a variant counts as enabled where that is separate from its value. */
export function isEnabledVariant({ value, enabled }: Variant, type: FlagType): boolean {
  return enabled ?? (type !== 'boolean' || value === true);
}

/** What is served as slices: one for everybody where it is a single variant. */
export function slicesOf(serve: Serve): readonly Slice[] {
  return 'variant' in serve ? [{ variant: serve.variant, weight: BUCKET_COUNT }] : serve.split.slices;
}
