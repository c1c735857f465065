/** Makes a hook's message of an entry of the journal, signs it and sends it once. The sender and tests of hooks depend on it. */
import { randomUUID } from 'node:crypto';
import type { HookTestView } from '@understudy/contract/people-endpoints';
import type { Hook, Try } from '@understudy/core/hook';
import type { CommandContext } from '../commands/command.ts';
import { bodyOf } from './hook-body.ts';
import { type HookMessage, messageOf, testMessage } from './hook-message.ts';
import type { AddressPolicy } from '../outbound-post.ts';
import { type HookAnswer, postToHook } from './hook-request.ts';
import { secretOf, signatureHeaders } from './hook-signature.ts';

export interface HookPostOptions {
  readonly addresses: AddressPolicy;
  /** Secret bytes of this installation; hooks' secrets are made from it. */
  readonly key: Uint8Array;
  /** For one message; {@link TIMEOUT_MS} when left out. */
  readonly timeoutMs?: number;
}

export interface HookPost {
  /** Tells a hook what an entry of the journal says. */
  tell(hook: Hook, revision: number): Promise<Try>;
  /** Sends a test message. */
  test(hook: Hook): Promise<HookTestView>;
  /** What a hook's messages are signed with. */
  secretOf(hook: Pick<Hook, 'name' | 'salt'>): string;
  /** Ends every wait for an answer; nothing is sent afterwards. */
  stop(): void;
}

/** A receiver that takes longer than this should answer first and work afterwards. */
export const TIMEOUT_MS = 10_000;

export function openHookPost({ environment, store, clock }: CommandContext, options: HookPostOptions): HookPost {
  const stopping = new AbortController();

  async function send(hook: Hook, message: HookMessage): Promise<{ readonly answer: HookAnswer; readonly tookMs: number }> {
    const { contentType, text: body } = bodyOf(hook.format, message);
    const startMs = clock.nowMs();
    const signed = signatureHeaders(secretOf(options.key, hook), { id: message.id, atMs: startMs, body });
    const headers = { 'content-type': contentType, 'user-agent': 'understudy-hooks', ...signed };
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    const answer = await postToHook(options.addresses, { url: hook.url, headers, body, timeoutMs, stop: stopping.signal });
    return { answer, tookMs: Math.max(0, clock.nowMs() - startMs) };
  }

  return {
    async tell(hook, revision) {
      const [entry] = await store.journal(environment, { afterRevision: revision - 1, order: 'oldest-first', limit: 1 });
      const message = entry?.revision === revision ? messageOf(entry, hook) : undefined;
      if (message === undefined) throw new Error(`the journal has no message at revision ${revision}`);
      const { answer, tookMs } = await send(hook, message);
      const result = answer.problem === undefined ? 'delivered' : answer.status === 410 ? 'gone' : 'failed';
      return { id: message.id, event: message.event, result, ...answer, tookMs };
    },
    async test(hook) {
      const message = testMessage(hook, { environment, atMs: clock.nowMs(), nonce: randomUUID() });
      const { answer, tookMs } = await send(hook, message);
      return { outcome: answer.problem === undefined ? 'delivered' : 'failed', ...answer, tookMs };
    },
    secretOf: (hook) => secretOf(options.key, hook),
    stop: () => stopping.abort(),
  };
}
