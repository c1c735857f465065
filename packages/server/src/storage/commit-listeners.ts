/** Who wants to hear of commits. Every backend keeps one of these. */
import type { Store } from './store.ts';

type Listener = Parameters<Store['onCommit']>[0];

export interface CommitListeners extends Pick<Store, 'onCommit'> {
  /** Calls all of them back, soon. */
  readonly tell: Listener;
  readonly isEmpty: () => boolean;
  readonly clear: () => void;
}

export function openCommitListeners(): CommitListeners {
  const listeners = new Set<Listener>();
  return {
    tell: (environment, revision) => {
      for (const listener of listeners) queueMicrotask(() => listener(environment, revision));
    },
    onCommit: (listener) => {
      // Wrapped, so that a listener that is added twice is called twice and removed once.
      const own: Listener = (environment, revision) => listener(environment, revision);
      listeners.add(own);
      return () => listeners.delete(own);
    },
    isEmpty: () => listeners.size === 0,
    clear: () => listeners.clear(),
  };
}
