/**
 * Tells webhooks what the journal says. Level-triggered: each hook's document says how far it has come, so a crash leaves nothing
 * to repair; a message may then arrive twice, with the same id, and never not at all.
 */
import { randomUUID } from 'node:crypto';
import { type Hook, recordTry } from '@understudy/core/hook';
import type { CommandContext } from '../commands/command.ts';
import { type Held, listHeld, replace } from '../commands/queries.ts';
import { type HookPost, type HookPostOptions, openHookPost, TIMEOUT_MS } from './hook-post.ts';
import { openHookReading } from './hook-reading.ts';

export interface HookSenderOptions extends HookPostOptions {
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: { warn(fields: object, event: string): void };
}

export interface HookSender extends Pick<HookPost, 'test' | 'secretOf' | 'stop'> {
  /** One round: sends what is due, and records what came of it. Rounds never overlap. */
  deliver(): Promise<void>;
}

// So many messages of one hook go out before they are recorded: a crash repeats no more.
const BATCH = 5;
// Longer than a batch can take at its slowest.
const CLAIM_MS = 2 * BATCH * TIMEOUT_MS;
const ACTOR = 'hooks';

export function openHookSender(context: CommandContext, options: HookSenderOptions): HookSender {
  const { environment, store, clock } = context;
  const self = randomUUID();
  const reading = openHookReading(context);
  const post = openHookPost(context, options);
  let working: Promise<void> = Promise.resolve();

  async function round(): Promise<void> {
    const hooks = await listHeld(context, 'hook');
    reading.keepOnly(hooks.map(({ body }) => body));
    const results = await Promise.allSettled(hooks.map((hook) => serve(hook)));
    for (const result of results) if (result.status === 'rejected') options.log.warn({ err: result.reason }, 'hook.failed');
  }

  async function serve(held: Held<Hook>): Promise<void> {
    const { body: hook } = held;
    const atMs = clock.nowMs();
    const { claim } = hook.progress;
    if (hook.disabled !== undefined || (claim !== undefined && claim.by !== self && claim.untilMs > atMs)) return;
    const found = await reading.findNew(hook, atMs);
    const pending = [...hook.progress.pending, ...found.pending];
    const due = pending.filter(({ nextAtMs }) => nextAtMs <= atMs).slice(0, BATCH);
    if (due.length === 0 && found.pending.length === 0) return;
    const progress = { ...hook.progress, cursor: found.cursor, pending, claim: { by: self, untilMs: atMs + CLAIM_MS } };
    const claimed = await record(held, { ...hook, progress }, 'hook.claimed');
    if (claimed === undefined) return;
    let after = claimed.body;
    for (const message of due) {
      const tried = await post.tell(hook, message.revision);
      after = recordTry(after, message, { atMs: clock.nowMs(), random: options.random(), tried });
      if (after.disabled !== undefined) break;
    }
    const { claim: _done, ...rest } = after.progress;
    await record(claimed, { ...after, progress: rest }, 'hook.delivered');
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

  return {
    deliver() {
      working = working.then(round, round);
      return working;
    },
    test: (hook) => post.test(hook),
    secretOf: (hook) => post.secretOf(hook),
    stop: () => post.stop(),
  };
}
