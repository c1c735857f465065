/** Secrets in a Redis store: in a hash of their own, which nothing else reads. */
import { AppError } from '@understudy/core/errors';
import { SECRETS_FENCE, SECRETS_KEY } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import type { ReplicaWait } from './redis-replicas.ts';
import { textOf } from './redis-replies.ts';
import type { SecretKeeper } from './secret-keeper.ts';

export function openRedisSecrets(link: RedisLink, untilReplicated: ReplicaWait): SecretKeeper {
  return {
    async keepSecret(name, proposed) {
      const attempt = `keep the secret "${name}"`;
      const [, kept] = await link.send(attempt, [
        ['hsetnx', SECRETS_KEY, name, Buffer.from(proposed).toString('base64')],
        ['hget', SECRETS_KEY, name],
      ]);
      await untilReplicated(attempt, SECRETS_FENCE);
      const text = textOf(kept);
      if (text === undefined) throw new AppError('store.corrupt', `cannot ${attempt}: another program deleted it; try again`);
      return Buffer.from(text, 'base64');
    },
  };
}
