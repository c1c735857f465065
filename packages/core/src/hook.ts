/** Webhooks: what they are told, when a failed delivery is tried again, and what is remembered of deliveries. Pure; the sender depends on it. */

/** What a hook can be told. */
export type HookEvent =
  | 'rollout.started'
  | 'rollout.began'
  | 'rollout.advanced'
  | 'rollout.waits-for-approval'
  | 'rollout.approved'
  | 'rollout.frozen'
  | 'rollout.time-box-over'
  | 'rollout.would-act'
  | 'rollout.promoted'
  | 'rollout.rolled-back'
  | 'rollout.paused'
  | 'rollout.resumed'
  | 'rollout.aborted'
  | 'model.promoted'
  | 'model.rolled-back'
  | 'model.alarmed'
  | 'model.killed'
  | 'model.unkilled'
  | 'gateway.killed'
  | 'gateway.unkilled'
  | 'line.stopped'
  | 'line.resumed';

/** Every event, with what it means. Each is the action of a journal entry. */
export const HOOK_EVENTS: Readonly<
  Record<HookEvent, { readonly title: string; readonly severity: 'info' | 'warning' | 'error' }>
> = {
  'rollout.started': { title: 'rollout started', severity: 'info' },
  'rollout.began': { title: 'first traffic', severity: 'info' },
  'rollout.advanced': { title: 'advanced', severity: 'info' },
  'rollout.waits-for-approval': { title: 'waits for approval', severity: 'warning' },
  'rollout.approved': { title: 'approved', severity: 'info' },
  'rollout.frozen': { title: 'frozen', severity: 'info' },
  'rollout.time-box-over': { title: 'time box over', severity: 'warning' },
  'rollout.would-act': { title: 'dry run would act', severity: 'info' },
  'rollout.promoted': { title: 'promoted', severity: 'info' },
  'rollout.rolled-back': { title: 'rolled back', severity: 'error' },
  'rollout.paused': { title: 'paused', severity: 'warning' },
  'rollout.resumed': { title: 'resumed', severity: 'info' },
  'rollout.aborted': { title: 'aborted', severity: 'warning' },
  'model.promoted': { title: 'new champion', severity: 'info' },
  'model.rolled-back': { title: 'champion rolled back', severity: 'error' },
  'model.alarmed': { title: 'no last known good', severity: 'error' },
  'model.killed': { title: 'killed', severity: 'error' },
  'model.unkilled': { title: 'kill undone', severity: 'info' },
  'gateway.killed': { title: 'killed on one gateway', severity: 'error' },
  'gateway.unkilled': { title: 'kill on one gateway undone', severity: 'info' },
  'line.stopped': { title: 'line stopped', severity: 'warning' },
  'line.resumed': { title: 'line resumed', severity: 'info' },
};

/** Whether an action of the journal is something that hooks are told. */
export function isHookEvent(action: string): action is HookEvent {
  return Object.hasOwn(HOOK_EVENTS, action);
}

/** A message that has not arrived yet. It is made again from the journal each time, so only its place is kept. */
export interface PendingDelivery {
  /** The entry of the journal that it tells. */
  readonly revision: number;
  readonly attempts: number;
  readonly firstAtMs: number;
  readonly nextAtMs: number;
}

/** One try, for people. */
export interface DeliveryRecord {
  /** The same for every try of a message: receivers recognise repetitions by it. */
  readonly id: string;
  readonly revision: number;
  readonly event: HookEvent;
  readonly atMs: number;
  readonly attempt: number;
  readonly outcome: 'delivered' | 'failed' | 'gave-up';
  /** HTTP status, when there was an answer. */
  readonly status?: number;
  readonly problem?: string;
  readonly tookMs: number;
}

/** How far a hook has come. */
export interface HookProgress {
  /** Every entry up to here has been delivered, given up, or is pending. */
  readonly cursor: number;
  /** Oldest first. */
  readonly pending: readonly PendingDelivery[];
  /** The newest tries, oldest first. */
  readonly log: readonly DeliveryRecord[];
  /** The newest messages that were given up, oldest first. */
  readonly dead: readonly DeliveryRecord[];
  /** A process that is sending; others leave the hook alone until then. */
  readonly claim?: { readonly by: string; readonly untilMs: number };
}

/** Where messages go. */
export interface Hook {
  readonly name: string;
  readonly url: string;
  readonly format: 'understudy' | 'slack';
  readonly events: readonly HookEvent[];
  /** What its signing secret is made from, with a key that is kept apart from documents. */
  readonly salt: string;
  readonly createdAtMs: number;
  readonly createdBy: string;
  /** Set when the receiver said that it is gone for good. */
  readonly disabled?: { readonly atMs: number; readonly reason: string };
  readonly progress: HookProgress;
}

/** Beyond so many undelivered messages a hook reads no further: they stay in the journal, and nothing is lost. */
export const MOST_PENDING = 100;
const MOST_LOGGED = 30;
const GIVE_UP_AFTER_MS = 86_400_000;
const FIRST_RETRY_MS = 5000;
const LONGEST_RETRY_MS = 3_600_000;

/**
 * How long to wait after a failed try: doubling from 5 s to an hour, each drawn from its upper half.
 * @param attempts tries so far, ≥ 1
 * @param random in [0, 1); spreads the tries of many messages
 */
export function retryDelayMs(attempts: number, random: number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempts - 1)) * (0.5 + random / 2);
}

/** What a try came to. `gone`: the receiver does not want to hear of us again. */
export interface Try {
  readonly id: string;
  readonly event: HookEvent;
  readonly result: 'delivered' | 'failed' | 'gone';
  readonly status?: number;
  readonly problem?: string;
  readonly tookMs: number;
}

/** The hook after a try of one pending message. */
export function recordTry(hook: Hook, message: PendingDelivery, { atMs, random, tried }: RecordedTry): Hook {
  const { progress } = hook;
  const attempts = message.attempts + 1;
  const isLast = tried.result === 'gone' || atMs - message.firstAtMs >= GIVE_UP_AFTER_MS;
  const outcome = tried.result === 'delivered' ? 'delivered' : isLast ? 'gave-up' : 'failed';
  const { result: _result, ...facts } = tried;
  const record: DeliveryRecord = { ...facts, revision: message.revision, atMs, attempt: attempts, outcome };
  const others = progress.pending.filter(({ revision }) => revision !== message.revision);
  const again = { ...message, attempts, nextAtMs: atMs + Math.round(retryDelayMs(attempts, random)) };
  return {
    ...hook,
    ...(tried.result === 'gone' ? { disabled: { atMs, reason: tried.problem ?? 'gone' } } : {}),
    progress: {
      ...progress,
      pending: outcome === 'failed' ? [...others, again].toSorted((a, b) => a.revision - b.revision) : others,
      log: [...progress.log, record].slice(-MOST_LOGGED),
      dead: outcome === 'gave-up' ? [...progress.dead, record].slice(-MOST_LOGGED) : progress.dead,
    },
  };
}

interface RecordedTry {
  readonly atMs: number;
  /** In [0, 1). */
  readonly random: number;
  readonly tried: Try;
}
