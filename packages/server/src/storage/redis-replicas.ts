/** Waits for replicas, when the address asks for it. A change that not enough of them have is not acknowledged. */
import { AppError } from '@understudy/core/errors';
import type { RedisAddress } from './redis-address.ts';
import type { RedisLink } from './redis-link.ts';
import { numberOf } from './redis-replies.ts';

/**
 * Resolves when enough replicas have everything that the server did until now.
 * @param fence a key in the slot of what was changed
 * @throws AppError `store.write_failed` when too few have it in time
 */
export type ReplicaWait = (attempt: string, fence: string) => Promise<void>;

export function openReplicaWait(
  link: RedisLink,
  { waitReplicas, patienceMs }: Pick<RedisAddress, 'waitReplicas' | 'patienceMs'>,
): ReplicaWait {
  return async (attempt, fence) => {
    if (waitReplicas === 0) return;
    // The write makes the wait cover everything before it, over whatever connection it came.
    const [, replicas] = await link.send(attempt, [
      ['set', fence, '1'],
      ['wait', String(waitReplicas), String(Math.ceil(patienceMs / 2))],
    ]);
    const reached = numberOf(replicas);
    if (reached >= waitReplicas) return;
    throw new AppError(
      'store.write_failed',
      `cannot ${attempt}: the Redis server ${link.place} has it, but only ${reached} of ${waitReplicas} replicas do, so a failover could lose it; ` +
        'bring the replicas back and ask again with the same idempotency key',
    );
  };
}
