/** Callbacks of callers, none of whose troubles reaches another one or us. */
import { sentenceOf } from '@understudy/feed/problem';
import type { TellProblem } from './problem.ts';

/** A set of callbacks. */
export interface Listeners<Event> {
  /** @returns stops */
  add(listener: (event: Event) => void): () => void;
  call(event: Event): void;
  clear(): void;
}

export function openListeners<Event>(tell: TellProblem): Listeners<Event> {
  const listeners = new Set<(event: Event) => void>();
  return {
    add(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    call(event) {
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error) {
          tell({ code: 'listener.failed', message: `a callback threw: ${sentenceOf(error)}` });
        }
      }
    },
    clear: () => listeners.clear(),
  };
}
