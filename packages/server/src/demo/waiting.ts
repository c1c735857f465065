/** Waiting for something to become true, never for ever. Everything in the demo that waits does it here. */
import { setTimeout as pause } from 'node:timers/promises';

/** Something did not come about in time, or came about otherwise. The message says what, for people. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
}

/** What a look came to: the thing itself, or what is there instead. */
export type Look<Thing> = { readonly found: Thing } | { readonly insteadOf: string };

export interface Wait {
  /** Completes "waited 20 s for …". */
  readonly what: string;
  readonly withinMs: number;
  readonly everyMs: number;
  readonly signal: AbortSignal;
}

/**
 * Looks until the thing is found.
 * @throws DemoFailure when the time is over, naming what was there at the last look; the signal's reason when it aborts
 */
export async function waitFor<Thing>(wait: Wait, look: () => Look<Thing> | Promise<Look<Thing>>): Promise<Thing> {
  const endMs = performance.now() + wait.withinMs;
  for (;;) {
    wait.signal.throwIfAborted();
    const seen = await look();
    if ('found' in seen) return seen.found;
    if (performance.now() >= endMs) {
      throw new DemoFailure(`waited ${Math.round(wait.withinMs / 1000)} s for ${wait.what}; still ${seen.insteadOf}`);
    }
    await rest(wait.everyMs, wait.signal);
  }
}

/** @throws the signal's reason when it aborts meanwhile */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await pause(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
