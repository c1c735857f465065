/**
 * A process that plays simulated rollouts: told what to play, it answers with how each ended.
 *
 * A process, because threads that each load TypeScript now and then crashed V8 13.6 (a race over WebAssembly code that threads share).
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { SimulatedRollout } from '@understudy/core/simulation/simulate-rollout';

export interface RolloutPlayer {
  /** Tells the process something that it doesn't answer. */
  tell(message: object): void;
  /** One at a time. Rejects when the process ends before it answered, or when the signal fires. */
  play(job: object, signal?: AbortSignal): Promise<readonly SimulatedRollout[]>;
  close(): void;
}

/** Starts a process. Whoever starts it closes it. */
export function startRolloutPlayer(module: URL): RolloutPlayer {
  const child = fork(module, { serialization: 'advanced', execArgv: [] });
  return {
    tell: (message) => void child.send(message),
    async play(job, signal) {
      const settled = new AbortController();
      const until = { signal: signal === undefined ? settled.signal : AbortSignal.any([signal, settled.signal]) };
      child.send(job);
      try {
        const answered = once(child, 'message', until).then(([rollouts]: (readonly SimulatedRollout[])[]) => rollouts);
        const ended = once(child, 'exit', until).then(() => undefined);
        const rollouts = await Promise.race([answered, ended]);
        if (rollouts === undefined) throw new Error('a process that plays rollouts ended before it answered');
        return rollouts;
      } finally {
        settled.abort();
      }
    },
    close: () => void child.kill(),
  };
}
