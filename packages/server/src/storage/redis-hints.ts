/** Hints that something was committed, by this store or by another one on the same server. A hint that is lost costs time, never truth. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { openCommitListeners } from './commit-listeners.ts';
import type { HeadWatch } from './redis-head.ts';
import { channelOf } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
import { JsonText } from './rows.ts';
import type { Store } from './store.ts';

export interface Hints extends Pick<Store, 'onCommit'> {
  /** Tells the listeners of a commit of this store. */
  readonly tell: (environment: string, revision: number) => void;
  readonly close: () => void;
}

export interface HintParts {
  readonly link: RedisLink;
  readonly heads: HeadWatch;
  readonly storeId: string;
  readonly database: number;
  readonly patienceMs: number;
}

const Message = JsonText.pipe(z.tuple([z.string(), z.string(), z.int().positive()]));

/** Listens to other stores. Resolves when it does, or when patience is over: then it will as soon as it can. */
export async function openHints(parts: HintParts): Promise<Hints> {
  const { tell, onCommit, clear } = openCommitListeners();
  const connection = await listen(parts, tell);
  return {
    tell,
    onCommit,
    close: () => {
      clear();
      connection.disconnect();
    },
  };
}

async function listen({ link, heads, storeId, database, patienceMs }: HintParts, tell: Hints['tell']): Promise<Redis> {
  const connection = await link.listen();
  // It reconnects by itself; the link says what is wrong with the server to whoever asks something.
  connection.on('error', () => {});
  connection.on('message', (_channel, text) => {
    const message = Message.safeParse(text);
    if (message.success && message.data[0] !== storeId) tell(message.data[1], message.data[2]);
  });
  const listening = Promise.withResolvers<void>();
  let isFirst = true;
  const subscribe = async (): Promise<void> => {
    // A refusal changes nothing but that others are noticed later.
    await connection.subscribe(channelOf(database)).catch(() => undefined);
    listening.resolve();
    // Something may have been said while the connection was gone.
    if (!isFirst) for (const [environment, revision] of heads.known()) tell(environment, revision);
    isFirst = false;
  };
  connection.on('ready', () => void subscribe());
  const late = new AbortController();
  await Promise.race([listening.promise, sleep(patienceMs, undefined, { signal: late.signal }).catch(() => undefined)]);
  late.abort();
  return connection;
}
