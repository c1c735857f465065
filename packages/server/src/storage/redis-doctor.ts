/** What a Redis server's settings mean for what the store promises. `understudy doctor` shows it. */
import { parseRedisAddress, placeOf } from './redis-address.ts';
import { inspectRedis } from './redis-settings.ts';
import type { StoreFinding } from './store-finding.ts';

/** Looks at the server without changing anything. @throws AppError when nobody answers or the address is wrong */
export async function examineRedis(address: string): Promise<readonly StoreFinding[]> {
  const { server, isCluster, verdict, risks } = await inspectRedis(address);
  const place = placeOf(parseRedisAddress(address));
  const answers = `${place} answers, ${server}${isCluster ? ', a cluster' : ''}`;
  const state = verdict === 'unusable' ? 'problem' : 'warning';
  return [
    { state: 'ok', detail: answers },
    ...risks.map(({ loses, fix }): StoreFinding => ({ state, detail: loses, fix })),
    ...(verdict === 'durable' ? [{ state: 'ok', detail: DURABLE } as const] : []),
  ];
}

const DURABLE = 'acknowledged changes are on the disk of the server, and on replicas where the address waits for them';
