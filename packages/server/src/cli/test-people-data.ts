/** Answers about freezes and webhooks for tests of the command line. Every text in them can be made naughty. */
import type { Answer } from '@understudy/contract/client';
import type { HookView, PEOPLE_ENDPOINTS } from '@understudy/contract/people-endpoints';

type PeopleEndpoint = keyof typeof PEOPLE_ENDPOINTS;
type AllAnswers = { readonly [Name in PeopleEndpoint]: Answer<Name> };

export function peopleAnswers(text: string, nowMs: number): AllAnswers {
  const outcome = { outcome: 'done' as const, message: text, revision: 43 };
  const act = { atMs: nowMs - 60_000, by: text, reason: text };
  const times = { days: ['sat' as const], from: '00:00', to: '24:00', timezone: 'UTC' };
  const freeze = { name: text, models: [text], times, reason: text, setBy: text, setAtMs: nowMs, isActive: true };
  const freezes = { freezes: [freeze], stopped: act };
  const tried = { id: text, revision: 7, event: 'rollout.advanced' as const, atMs: nowMs, attempt: 2, tookMs: 12 };
  const failed = { ...tried, outcome: 'failed' as const, status: 503, problem: text };
  const hook: HookView = {
    name: text,
    origin: text,
    format: 'slack',
    events: ['rollout.advanced'],
    createdAtMs: nowMs,
    createdBy: text,
    disabled: { atMs: nowMs, reason: text },
    pending: 1,
    dead: 1,
    last: failed,
  };
  return {
    listFreezes: freezes,
    saveFreeze: freezes,
    deleteFreeze: outcome,
    stopTheLine: outcome,
    resumeTheLine: outcome,
    createHook: { hook, secret: 'whsec_secret' },
    listHooks: [hook],
    listDeliveries: {
      pending: [{ revision: 9, attempts: 1, firstAtMs: nowMs - 9000, nextAtMs: nowMs + 9000 }],
      log: [failed],
      dead: [{ ...failed, outcome: 'gave-up' as const }],
    },
    testHook: { outcome: 'delivered' as const, status: 200, problem: text, tookMs: 12 },
    deleteHook: outcome,
  };
}
