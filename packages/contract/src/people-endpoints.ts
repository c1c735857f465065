/** Endpoints of what people decide about rollouts beyond one of them: freezes, the line, webhooks. */
import { HOOK_EVENTS, isHookEvent } from '@understudy/core/hook';
import { z } from 'zod';
import { Name } from './documents.ts';
import { base, type Endpoint, Reason, WithReason } from './endpoint.ts';
import { FreezeTimesFile } from './freeze-file.ts';
import { DeliveryRecordSchema, HookEventSchema, HookFormat, HookUrl, PendingDeliverySchema } from './people-documents.ts';
import { Outcome } from './views.ts';

const OfFreeze = z.strictObject({ freeze: Name });
const OfHook = z.strictObject({ hook: Name });
const BecauseOf = z.strictObject({ reason: Reason });

/** A freeze with whether it holds now. */
const FreezeView = z.strictObject({
  name: z.string(),
  models: z.array(z.string()).exactOptional(),
  times: FreezeTimesFile,
  reason: z.string(),
  setBy: z.string(),
  setAtMs: z.number(),
  isActive: z.boolean(),
});

export const FreezesView = z.strictObject({
  freezes: z.array(FreezeView),
  /** While the line is stopped. */
  stopped: z.strictObject({ atMs: z.number(), by: z.string(), reason: z.string() }).exactOptional(),
});
export type FreezesView = z.infer<typeof FreezesView>;

/** A webhook, without its secret and with no more of its address than where it goes: the rest may be a secret too. */
export const HookView = z.strictObject({
  name: z.string(),
  origin: z.string(),
  format: HookFormat,
  events: z.array(HookEventSchema),
  createdAtMs: z.number(),
  createdBy: z.string(),
  disabled: z.strictObject({ atMs: z.number(), reason: z.string() }).exactOptional(),
  /** Messages that have not arrived yet. */
  pending: z.int(),
  /** Messages that were given up, as far as they are remembered. */
  dead: z.int(),
  last: DeliveryRecordSchema.exactOptional(),
});
export type HookView = z.infer<typeof HookView>;

export const DeliveriesView = z.strictObject({
  /** Oldest first. */
  pending: z.array(PendingDeliverySchema),
  /** The newest tries, newest first. */
  log: z.array(DeliveryRecordSchema),
  /** The newest that were given up, newest first. */
  dead: z.array(DeliveryRecordSchema),
});
export type DeliveriesView = z.infer<typeof DeliveriesView>;

/** What a test message came to. */
export const HookTestView = z.strictObject({
  outcome: z.enum(['delivered', 'failed']),
  status: z.int().exactOptional(),
  problem: z.string().exactOptional(),
  tookMs: z.number(),
});
export type HookTestView = z.infer<typeof HookTestView>;

export const PEOPLE_ENDPOINTS = {
  listFreezes: {
    ...base,
    method: 'GET',
    path: '/freezes',
    scope: 'read',
    summary: 'Times in which no rollout goes forward',
    answer: FreezesView,
  },
  saveFreeze: {
    ...base,
    method: 'PUT',
    path: '/freezes/:freeze',
    scope: 'operate',
    summary: 'Set a freeze: weekly or from date to date, for all models or for some; rollbacks happen as ever',
    params: OfFreeze,
    body: z.strictObject({ models: z.array(Name).min(1).max(100).exactOptional(), times: FreezeTimesFile, reason: Reason }),
    answer: FreezesView,
  },
  deleteFreeze: {
    ...base,
    method: 'DELETE',
    path: '/freezes/:freeze',
    scope: 'operate',
    summary: 'Delete a freeze',
    params: OfFreeze,
    query: BecauseOf,
    answer: Outcome,
  },
  stopTheLine: {
    ...base,
    method: 'POST',
    path: '/line/stop',
    scope: 'operate',
    summary: 'Nothing goes forward in the whole environment until the line is resumed; rollbacks happen as ever',
    body: WithReason,
    answer: Outcome,
  },
  resumeTheLine: {
    ...base,
    method: 'POST',
    path: '/line/resume',
    scope: 'operate',
    summary: 'Let rollouts go forward again',
    body: WithReason,
    answer: Outcome,
  },
  createHook: {
    ...base,
    method: 'POST',
    path: '/hooks',
    scope: 'admin',
    summary: 'Create a webhook; the signing secret is shown this once',
    body: z.strictObject({
      name: Name,
      url: HookUrl,
      format: HookFormat.default('understudy'),
      events: z
        .array(HookEventSchema)
        .min(1)
        .default(() => Object.keys(HOOK_EVENTS).filter(isHookEvent))
        .meta({ description: `What it is told; everything when left out: ${Object.keys(HOOK_EVENTS).join(', ')}.` }),
    }),
    answer: z.strictObject({
      hook: HookView,
      secret: z.string().meta({ description: 'As Standard Webhooks libraries take it: whsec_ and base64.' }),
    }),
  },
  listHooks: {
    ...base,
    method: 'GET',
    path: '/hooks',
    scope: 'read',
    summary: 'Webhooks, without secrets',
    answer: z.array(HookView),
  },
  listDeliveries: {
    ...base,
    method: 'GET',
    path: '/hooks/:hook/deliveries',
    scope: 'read',
    summary: 'What was sent to a webhook lately, what waits, and what was given up',
    params: OfHook,
    answer: DeliveriesView,
  },
  testHook: {
    ...base,
    method: 'POST',
    path: '/hooks/:hook/test',
    scope: 'admin',
    summary: 'Send a test message now and say what came of it',
    params: OfHook,
    answer: HookTestView,
  },
  deleteHook: {
    ...base,
    method: 'DELETE',
    path: '/hooks/:hook',
    scope: 'admin',
    summary: 'Delete a webhook; what waits for it is not sent',
    params: OfHook,
    query: BecauseOf,
    answer: Outcome,
  },
} as const satisfies Record<string, Endpoint>;
