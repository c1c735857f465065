/** Hints that something was committed, by this store or by another one on the same server. A hint that is lost costs time, never truth. */
import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { HeadWatch } from './redis-head.ts';
import { channelOf } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';
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
}

const Message = z.tuple([z.string(), z.string(), z.int().positive()]);

/** Listens to other stores from the first listener on. */
export function openHints(parts: HintParts): Hints {
  const listeners = new Set<(environment: string, revision: number) => void>();
  let connection: Promise<Redis> | undefined;
  const tell = (environment: string, revision: number): void => {
    for (const listener of listeners) queueMicrotask(() => listener(environment, revision));
  };
  return {
    tell,
    onCommit: (listener) => {
      // Wrapped, so that a listener that is added twice is called twice and removed once.
      const own: typeof listener = (environment, revision) => listener(environment, revision);
      listeners.add(own);
      connection ??= listen(parts, tell);
      return () => listeners.delete(own);
    },
    close: () => {
      listeners.clear();
      void connection?.then((open) => open.disconnect());
    },
  };
}

async function listen({ link, heads, storeId, database }: HintParts, tell: Hints['tell']): Promise<Redis> {
  const connection = await link.listen();
  // It reconnects by itself; the link says what is wrong with the server to whoever asks something.
  connection.on('error', () => {});
  connection.on('message', (_channel, text) => {
    const message = Message.safeParse(jsonOrNothing(text));
    if (message.success && message.data[0] !== storeId) tell(message.data[1], message.data[2]);
  });
  let isBroken = false;
  connection.on('close', () => (isBroken = true));
  connection.on('ready', () => {
    // Something may have been said while the connection was gone.
    if (!isBroken) return;
    isBroken = false;
    for (const [environment, revision] of heads.known()) tell(environment, revision);
  });
  // Waits for the connection as long as it takes; fails only when the store is closed before.
  connection.subscribe(channelOf(database)).catch(() => {});
  return connection;
}

function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
