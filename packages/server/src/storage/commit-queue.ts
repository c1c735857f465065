/** Commits of one process to one environment, one after the other: they would only get in each other's way at the shared head. */
import { AppError } from '@understudy/core/errors';

/** Runs `work` when everything before it on the same environment has ended, however it ended. */
export type CommitQueue = <T>(environment: string, work: () => Promise<T>) => Promise<T>;

// More than a store can do while the last of them waits.
const MOST_WAITING = 1000;

export function openCommitQueue(): CommitQueue {
  const queues = new Map<string, { waiting: number; last: Promise<unknown> }>();
  return async (environment, work) => {
    const queue = queues.get(environment) ?? { waiting: 0, last: Promise.resolve() };
    if (queue.waiting >= MOST_WAITING) {
      throw new AppError(
        'store.busy',
        `cannot commit to "${environment}": ${MOST_WAITING} changes wait already; nothing was changed`,
      );
    }
    queues.set(environment, queue);
    queue.waiting += 1;
    const mine = queue.last.then(work, work);
    queue.last = mine;
    try {
      return await mine;
    } finally {
      queue.waiting -= 1;
      if (queue.waiting === 0) queues.delete(environment);
    }
  };
}
