/**
 * Tells webhooks what the journal says. Level-triggered: each hook's document says how far it has come, so a crash leaves nothing
 * to repair; a message may then arrive twice, with the same id, and never not at all.
 */
import { randomUUID } from 'node:crypto';
import type { HookTestView } from '@understudy/contract/people-endpoints';
import { type Hook, MOST_PENDING, type PendingDelivery, recordTry, type Try } from '@understudy/core/hook';
import type { CommandContext } from '../commands/command.ts';
import { type Held, listHeld, replace } from '../commands/queries.ts';
import type { JournalEntry } from '../storage/store.ts';
import { bodyOf } from './hook-body.ts';
import { type HookMessage, messageOf, testMessage } from './hook-message.ts';
import { type AddressPolicy, type HookAnswer, postToHook } from './hook-request.ts';
import { secretOf, signatureHeaders } from './hook-signature.ts';

export interface HookSenderOptions {
  readonly addresses: AddressPolicy;
  /** Secret bytes of this installation; hooks' secrets are made from it. */
  readonly key: Uint8Array;
  /** In [0, 1). */
  readonly random: () => number;
  readonly timeoutMs?: number;
  readonly log: { warn(fields: object, event: string): void };
}

export interface HookSender {
  /** One round: sends what is due, and records what came of it. Rounds never overlap. */
  deliver(): Promise<void>;
  test(hook: Hook): Promise<HookTestView>;
  secretOf(hook: Pick<Hook, 'name' | 'salt'>): string;
}

const TIMEOUT_MS = 10_000;
// So many messages of one hook go out before they are recorded: a crash repeats no more.
const BATCH = 5;
// Longer than a batch can take at its slowest.
const CLAIM_MS = 2 * BATCH * TIMEOUT_MS;
const ENTRIES_PER_READ = 100;
const READS_PER_ROUND = 20;
const ACTOR = 'hooks';

export function openHookSender(context: CommandContext, options: HookSenderOptions): HookSender {
  const { environment, store, clock } = context;
  const self = randomUUID();
  // Up to where the journal has nothing for a hook; only what is for it is written down.
  const scanned = new Map<string, number>();
  let working: Promise<void> = Promise.resolve();

  async function round(): Promise<void> {
    const hooks = await listHeld(context, 'hook');
    const known = new Set(hooks.map(({ body }) => body.salt));
    for (const salt of scanned.keys()) if (!known.has(salt)) scanned.delete(salt);
    const results = await Promise.allSettled(hooks.map((hook) => serve(hook)));
    for (const result of results) if (result.status === 'rejected') options.log.warn({ err: result.reason }, 'hook.failed');
  }

  async function serve(held: Held<Hook>): Promise<void> {
    const { body: hook } = held;
    const atMs = clock.nowMs();
    const { claim } = hook.progress;
    if (hook.disabled !== undefined || (claim !== undefined && claim.by !== self && claim.untilMs > atMs)) return;
    const found = await findNew(hook, atMs);
    const pending = [...hook.progress.pending, ...found.pending];
    const due = pending.filter(({ nextAtMs }) => nextAtMs <= atMs).slice(0, BATCH);
    if (due.length === 0 && found.pending.length === 0) return;
    const progress = { ...hook.progress, cursor: found.cursor, pending, claim: { by: self, untilMs: atMs + CLAIM_MS } };
    const claimed = await record(held, { ...hook, progress }, 'hook.claimed');
    if (claimed === undefined) return;
    let after = claimed.body;
    for (const message of due) {
      const tried = await tell(hook, message);
      after = recordTry(after, message, { atMs: clock.nowMs(), random: options.random(), tried });
      if (after.disabled !== undefined) break;
    }
    const { claim: _done, ...rest } = after.progress;
    await record(claimed, { ...after, progress: rest }, 'hook.delivered');
  }

  /** Reads the journal on from where the hook has come; it stops where too much is waiting already. */
  async function findNew(
    hook: Hook,
    atMs: number,
  ): Promise<{ readonly cursor: number; readonly pending: readonly PendingDelivery[] }> {
    const found: PendingDelivery[] = [];
    let { cursor } = hook.progress;
    let afterRevision = Math.max(cursor, scanned.get(hook.salt) ?? 0);
    for (let reads = 0; reads < READS_PER_ROUND; reads += 1) {
      const entries = await store.journal(environment, { afterRevision, order: 'oldest-first', limit: ENTRIES_PER_READ });
      for (const entry of entries) {
        if (isFor(hook, entry)) {
          if (hook.progress.pending.length + found.length >= MOST_PENDING) return { cursor, pending: found };
          found.push({ revision: entry.revision, attempts: 0, firstAtMs: atMs, nextAtMs: atMs });
          cursor = entry.revision;
        } else if (found.length === 0) scanned.set(hook.salt, entry.revision);
        afterRevision = entry.revision;
      }
      if (entries.length < ENTRIES_PER_READ) break;
    }
    return { cursor, pending: found };
  }

  /** @returns the hook as it is stored now; undefined when somebody else was faster: the next round looks again */
  async function record(held: Held<Hook>, next: Hook, action: string): Promise<Held<Hook> | undefined> {
    const result = await store.commit({
      environment,
      writes: [replace('hook', held, next)],
      actor: ACTOR,
      action,
      reason: `hook "${next.name}": ${next.progress.pending.length} waiting`,
      atMs: clock.nowMs(),
    });
    return result.outcome === 'committed' ? { ...held, revision: result.revision, body: next } : undefined;
  }

  async function tell(hook: Hook, { revision }: PendingDelivery): Promise<Try> {
    const [entry] = await store.journal(environment, { afterRevision: revision - 1, order: 'oldest-first', limit: 1 });
    const message = entry?.revision === revision ? messageOf(entry, hook) : undefined;
    if (message === undefined) throw new Error(`the journal has no message at revision ${revision}`);
    const { answer, tookMs } = await send(hook, message);
    const result = answer.problem === undefined ? 'delivered' : answer.status === 410 ? 'gone' : 'failed';
    return { id: message.id, event: message.event, result, ...answer, tookMs };
  }

  async function send(hook: Hook, message: HookMessage): Promise<{ readonly answer: HookAnswer; readonly tookMs: number }> {
    const { contentType, text: body } = bodyOf(hook.format, message);
    const startMs = clock.nowMs();
    const signed = signatureHeaders(secretOf(options.key, hook), { id: message.id, atMs: startMs, body });
    const headers = { 'content-type': contentType, 'user-agent': 'understudy-hooks', ...signed };
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    const answer = await postToHook(options.addresses, { url: hook.url, headers, body, timeoutMs });
    return { answer, tookMs: Math.max(0, clock.nowMs() - startMs) };
  }

  return {
    deliver() {
      working = working.then(round, round);
      return working;
    },
    async test(hook) {
      const message = testMessage(hook, { environment, atMs: clock.nowMs(), nonce: randomUUID() });
      const { answer, tookMs } = await send(hook, message);
      return { outcome: answer.problem === undefined ? 'delivered' : 'failed', ...answer, tookMs };
    },
    secretOf: (hook) => secretOf(options.key, hook),
  };
}

function isFor(hook: Hook, { action }: JournalEntry): boolean {
  return hook.events.some((event) => event === action);
}
