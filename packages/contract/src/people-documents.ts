/** Schemas of what people decide about rollouts: freezes and webhooks. Stored documents are parsed with these. */
import { type FreezeRules, type FreezeTimes, WEEKDAYS } from '@understudy/core/freeze';
import { type DeliveryRecord, type Hook, HOOK_EVENTS, type HookEvent, isHookEvent, MOST_PENDING } from '@understudy/core/hook';
import { z } from 'zod';
import { AtMs, Name, Person, Reason } from './documents.ts';

const MINUTES_OF_DAY = 1440;

/** Whether this machine knows the time zone. */
function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

export const TimeZone = z
  .string()
  .max(100)
  .refine(isTimeZone, 'is no time zone of the IANA database; write one such as "Europe/Berlin" or "UTC"');

export const WeekdaySchema = z.enum(WEEKDAYS);

const FreezeTimesSchema: z.ZodType<FreezeTimes> = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('weekly'),
    days: z.array(WeekdaySchema).min(1).max(7),
    fromMinute: z
      .int()
      .min(0)
      .max(MINUTES_OF_DAY - 1),
    toMinute: z.int().min(1).max(MINUTES_OF_DAY),
    timezone: TimeZone,
  }),
  z.strictObject({ kind: z.literal('dates'), fromMs: AtMs, untilMs: AtMs }),
]);

/** More windows than anybody can keep in mind. */
export const MOST_FREEZES = 100;

export const FreezeRulesSchema: z.ZodType<FreezeRules> = z.strictObject({
  windows: z
    .array(
      z.strictObject({
        name: Name,
        models: z.array(Name).min(1).max(100).exactOptional(),
        times: FreezeTimesSchema,
        reason: Reason,
        setBy: Person,
        setAtMs: AtMs,
      }),
    )
    .max(MOST_FREEZES),
  stopped: z.strictObject({ atMs: AtMs, by: Person, reason: Reason }).exactOptional(),
});

export const HookEventSchema: z.ZodType<HookEvent, HookEvent> = z.custom<HookEvent>(
  (value) => typeof value === 'string' && isHookEvent(value),
  `use one of ${Object.keys(HOOK_EVENTS).join(', ')}`,
);

export const HookFormat = z.enum(['understudy', 'slack']);
export const HookUrl = z.string().min(1).max(2000);

export const DeliveryRecordSchema: z.ZodType<DeliveryRecord> = z.strictObject({
  id: z.string(),
  revision: z.int().nonnegative(),
  event: HookEventSchema,
  atMs: AtMs,
  attempt: z.int().positive(),
  outcome: z.enum(['delivered', 'failed', 'gave-up']),
  status: z.int().exactOptional(),
  problem: z.string().exactOptional(),
  tookMs: z.number().nonnegative(),
});

export const PendingDeliverySchema = z.strictObject({
  revision: z.int().positive(),
  attempts: z.int().nonnegative(),
  firstAtMs: AtMs,
  nextAtMs: AtMs,
});

export const HookSchema: z.ZodType<Hook> = z.strictObject({
  name: Name,
  url: HookUrl,
  format: HookFormat,
  events: z.array(HookEventSchema).min(1),
  salt: z.string(),
  createdAtMs: AtMs,
  createdBy: Person,
  disabled: z.strictObject({ atMs: AtMs, reason: z.string() }).exactOptional(),
  progress: z.strictObject({
    cursor: z.int().nonnegative(),
    pending: z.array(PendingDeliverySchema).max(MOST_PENDING),
    log: z.array(DeliveryRecordSchema),
    dead: z.array(DeliveryRecordSchema),
    claim: z.strictObject({ by: z.string(), untilMs: AtMs }).exactOptional(),
  }),
});
