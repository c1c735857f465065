/**
 * The connection to a Redis or Valkey server, or to a cluster of them. The Redis store does all of its work through it.
 * Whatever is sent must be harmless when it arrives twice: after a broken connection nobody knows what arrived.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@understudy/core/errors';
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { placeOf, type RedisAddress } from './redis-address.ts';
import { failureOf, isAnswer, isUnknownScript, prospectOf, UNKNOWN_OUTCOME, withoutCommand } from './redis-failure.ts';

/** A command and its arguments. */
export type RedisCommand = readonly [name: string, ...args: string[]];

/** A command that changes nothing, with one key. */
export type RedisRead = readonly [name: string, key: string, ...args: string[]];

/** A Lua script and the digest that the server knows it by. */
export interface RedisScript {
  readonly lua: string;
  readonly sha1: string;
}

/** One run of a script. Every key that it touches is in `keys`, as a cluster asks for. */
export interface ScriptRun {
  readonly script: RedisScript;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

export interface RedisLink {
  readonly isCluster: boolean;
  /** For messages. */
  readonly place: string;
  /** Sends commands together over one connection; gives their answers. Others' commands may come in between. */
  send(attempt: string, commands: readonly RedisCommand[]): Promise<readonly unknown[]>;
  /** The same for commands that read one key each, and nothing comes in between. All keys lie in one slot. */
  readTogether(attempt: string, reads: readonly RedisRead[]): Promise<readonly unknown[]>;
  /** Runs a script. `isRepeated`: its answer was lost once, so the one given may be that of a second run. */
  run(attempt: string, run: ScriptRun): Promise<{ readonly answer: unknown; readonly isRepeated: boolean }>;
  /** One command to every primary. */
  everywhere(attempt: string, command: RedisCommand): Promise<readonly unknown[]>;
  /** Calls back with each key that matches a pattern; with some of them more than once. */
  scan(attempt: string, pattern: string, visit: (key: string) => void): Promise<void>;
  /** A connection of its own that only listens. */
  listen(): Promise<Redis>;
  close(): Promise<void>;
}

const RETRY_FIRST_MS = 20;
const RETRY_LONGEST_MS = 1000;
// What a server looks through before others get their turn.
const KEYS_PER_SCAN = 1000;
// Cluster nodes may fail over without the one that answers noticing at once.
const SLOTS_REFRESH_MS = 5000;

/**
 * A script rather than MULTI, which a server refuses while its memory is full, reads and all.
 * KEYS: one for each command. ARGV: for each command the number of its words without the key, then these words.
 */
const READ_SCRIPT = scriptOf(`
local answers, at = {}, 1
for n = 1, #KEYS do
  local words = tonumber(ARGV[at])
  answers[n] = redis.call(ARGV[at + 1], KEYS[n], unpack(ARGV, at + 2, at + words))
  at = at + words + 1
end
return answers
`);

function readRun(reads: readonly RedisRead[]): ScriptRun {
  return {
    script: READ_SCRIPT,
    keys: reads.map(([, key]) => key),
    args: reads.flatMap(([name, , ...args]) => [String(args.length + 1), name, ...args]),
  };
}

export function scriptOf(lua: string): RedisScript {
  return { lua, sha1: createHash('sha1').update(lua).digest('hex') };
}

/**
 * Connects.
 * @throws AppError `store.busy` when nobody answers, `config.invalid` when the driver is not installed or the password wrong
 */
export async function openRedisLink(address: RedisAddress): Promise<RedisLink> {
  const driver = await loadDriver();
  const single = new driver.Redis({ ...optionsOf(address), host: address.host, port: address.port });
  let lastError: Error | undefined;
  single.on('error', (error: Error) => (lastError = error));
  single.on('ready', () => (lastError = undefined));
  const opening = linkOf(single, { address, isCluster: false, lastError: () => lastError });
  try {
    const [info] = await opening.send('connect', [['INFO', 'cluster']]);
    if (!String(info).includes('cluster_enabled:1')) return { ...opening, listen: () => listenerOf(driver, address) };
  } catch (error) {
    single.disconnect();
    throw error;
  }
  single.disconnect();
  if (address.database !== 0) {
    throw new AppError('config.invalid', `cannot use database ${address.database} of a cluster: it has only number 0`);
  }
  const cluster = new driver.Cluster(
    [address, ...address.others].map(({ host, port }) => ({ host, port })),
    clusterOptionsOf(address),
  );
  cluster.on('error', (error: Error) => (lastError = error));
  cluster.on('ready', () => (lastError = undefined));
  const link = linkOf(cluster, { address, isCluster: true, lastError: () => lastError });
  return { ...link, listen: () => listenerOf(driver, address) };
}

interface Driver {
  readonly Redis: typeof Redis;
  readonly Cluster: typeof Cluster;
}

async function loadDriver(): Promise<Driver> {
  try {
    return await import('ioredis');
  } catch (error) {
    throw new AppError('config.invalid', 'cannot use Redis: its driver is not installed; run npm install ioredis', {
      cause: error,
    });
  }
}

/** Nothing waits in a queue and nothing is sent again behind our back: this file decides both. */
function optionsOf(address: RedisAddress) {
  const { username, password, database, isEncrypted, patienceMs } = address;
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(isEncrypted ? { tls: {} } : {}),
    db: database,
    protocol: 2,
    connectionName: 'understudy',
    disableClientInfo: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: patienceMs,
    // A connection that answers nothing is cut, so that what waits on it is known to be lost.
    socketTimeout: patienceMs,
    commandTimeout: patienceMs,
    retryStrategy: delayMs,
  } as const satisfies RedisOptions;
}

function clusterOptionsOf(address: RedisAddress) {
  const { enableOfflineQueue: _, retryStrategy: __, ...redisOptions } = optionsOf(address);
  return {
    redisOptions,
    enableOfflineQueue: false,
    slotsRefreshTimeout: address.patienceMs,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    clusterRetryStrategy: delayMs,
  } as const satisfies ClusterOptions;
}

/** Doubles up to a second, a random half of it off: processes that lost the same server come back one after another. */
function delayMs(times: number): number {
  return Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** Math.min(times, 10)) * (0.5 + Math.random() / 2);
}

interface LinkParts {
  readonly address: RedisAddress;
  readonly isCluster: boolean;
  readonly lastError: () => Error | undefined;
}

type Base = Omit<RedisLink, 'listen'>;

function linkOf(client: Redis | Cluster, parts: LinkParts): Base {
  const { address, isCluster } = parts;
  const place = placeOf(address);
  let isClosed = false;

  /** Sends until there is an answer or patience is over. */
  async function persist<T>(attempt: string, mayChange: boolean, once: () => Promise<T>) {
    const endMs = performance.now() + address.patienceMs;
    let isUnknown = false;
    for (let times = 1; ; times += 1) {
      try {
        await untilReady(client, endMs - performance.now(), parts.lastError);
        return { answer: await once(), isRepeated: isUnknown };
      } catch (error) {
        const prospect = prospectOf(error);
        if (!(error instanceof Error)) throw error;
        if (prospect === undefined) throw isAnswer(error) ? withoutCommand(error) : error;
        isUnknown ||= mayChange && !isAnswer(error) && !isUnsent(error);
        const pauseMs = delayMs(times);
        if (isClosed || prospect === 'refused' || performance.now() + pauseMs > endMs) {
          const outcome = isUnknown ? UNKNOWN_OUTCOME : 'nothing was changed: check the server and its address';
          throw failureOf(error, attempt, { place, outcome });
        }
        await sleep(pauseMs);
      }
    }
  }

  return {
    isCluster,
    place,
    send: async (attempt, commands) => (await persist(attempt, false, () => pipelined(client, commands))).answer,
    readTogether: async (attempt, reads) => {
      const asked = await persist(attempt, false, () => runScript(client, readRun(reads)));
      return Array.isArray(asked.answer) ? asked.answer : [];
    },
    run: (attempt, run) => persist(attempt, true, () => runScript(client, run)),
    everywhere: async (attempt, [name, ...args]) => {
      const ask = () => Promise.all(primariesOf(client).map((node) => node.call(name, ...args)));
      return (await persist(attempt, false, ask)).answer;
    },
    scan: async (attempt, pattern, visit) => {
      await persist(attempt, false, () => scanAll(client, pattern, visit));
    },
    close: async () => {
      isClosed = true;
      client.disconnect();
    },
  };
}

/** Every server that takes changes. */
function primariesOf(client: Redis | Cluster): readonly Redis[] {
  return 'nodes' in client ? client.nodes('master') : [client];
}

async function scanAll(client: Redis | Cluster, pattern: string, visit: (key: string) => void): Promise<void> {
  for (const node of primariesOf(client)) {
    let cursor = '0';
    do {
      const [next, keys] = await node.scan(cursor, 'MATCH', pattern, 'COUNT', KEYS_PER_SCAN);
      for (const key of keys) visit(key);
      cursor = next;
    } while (cursor !== '0');
  }
}

/** Waits until commands can be sent. */
async function untilReady(client: Redis | Cluster, withinMs: number, lastError: LinkParts['lastError']): Promise<void> {
  if (client.status === 'ready') return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const late = (): void => {
    const last = lastError();
    // A wrong password is an answer, too, and says more than that there is no connection.
    reject(last !== undefined && isAnswer(last) ? last : new NotConnected(last?.message ?? 'no connection'));
  };
  const timer = setTimeout(late, Math.max(0, withinMs));
  const ready = (): void => resolve();
  client.once('ready', ready);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    client.removeListener('ready', ready);
  }
}

class NotConnected extends Error {
  override readonly name = 'NotConnected';
}

/** Whether a command never left this process. */
function isUnsent(error: Error): boolean {
  return error instanceof NotConnected || error.message.includes('enableOfflineQueue');
}

async function pipelined(client: Redis | Cluster, commands: readonly RedisCommand[]): Promise<readonly unknown[]> {
  const pipeline = client.pipeline();
  for (const [name, ...args] of commands) pipeline.call(name, ...args);
  const results = (await pipeline.exec()) ?? [];
  for (const [error] of results) if (error !== null) throw error;
  return results.map(([, reply]) => reply);
}

async function runScript(client: Redis | Cluster, { script, keys, args }: ScriptRun): Promise<unknown> {
  const rest = [String(keys.length), ...keys, ...args];
  try {
    return await client.call('evalsha', script.sha1, ...rest);
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    return client.call('eval', script.lua, ...rest);
  }
}

/** Messages reach every node of a cluster, so that one connection to any of them hears all. */
async function listenerOf(driver: Driver, address: RedisAddress): Promise<Redis> {
  const { socketTimeout: _, commandTimeout: __, ...options } = optionsOf(address);
  return new driver.Redis({
    ...options,
    host: address.host,
    port: address.port,
    enableOfflineQueue: true,
    maxRetriesPerRequest: null,
    // Whoever listens subscribes again: the driver would let a refusal end the process.
    autoResubscribe: false,
  });
}
