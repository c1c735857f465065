/** Asks a Redis server for the settings that durability depends on. */
import { AppError, isAppError } from '@understudy/core/errors';
import { parseRedisAddress } from './redis-address.ts';
import { durabilityOf, type RedisDurability, type RedisSettings } from './redis-durability.ts';
import { openRedisLink, type RedisLink } from './redis-link.ts';

/** What a server says about itself. */
export interface RedisReport extends RedisDurability {
  /** Such as `Redis 7.0.15` or `Valkey 8.1.0`. */
  readonly server: string;
  readonly isCluster: boolean;
}

// Streams with exclusive ranges and ACLs on scripts behave as the store expects from here on.
const OLDEST_MAJOR = 6;

/**
 * Connects, asks and disconnects. For `doctor`.
 * @throws AppError when the address is wrong or nobody answers
 */
export async function inspectRedis(url: string): Promise<RedisReport> {
  const address = parseRedisAddress(url);
  const link = await openRedisLink(address);
  try {
    return await reportOf(link, address.waitReplicas);
  } finally {
    await link.close();
  }
}

/** All primaries of a cluster together: what one of them loses is lost. */
export async function reportOf(link: RedisLink, waitReplicas: number): Promise<RedisReport> {
  const infos = (await link.everywhere('ask the server about itself', ['info'])).map((text) => infoOf(String(text)));
  const configs = await readConfigs(link);
  const settings = infos.map((info, index) => settingsOf({ info, config: configs?.[index] ?? new Map(), waitReplicas }));
  const reports = settings.map(durabilityOf);
  const first = infos[0] ?? new Map<string, string>();
  const major = Number((first.get('redis_version') ?? '').split('.')[0]);
  if (!(major >= OLDEST_MAJOR)) {
    throw new AppError(
      'config.invalid',
      `cannot use Redis ${first.get('redis_version')}: Understudy needs 6.2 or newer, or Valkey`,
    );
  }
  const verdicts = reports.map(({ verdict }) => verdict);
  const risks = new Map(reports.flatMap((report) => report.risks.map((risk) => [risk.loses, risk])));
  return {
    server: first.has('valkey_version') ? `Valkey ${first.get('valkey_version')}` : `Redis ${first.get('redis_version')}`,
    isCluster: link.isCluster,
    verdict: verdicts.includes('unusable') ? 'unusable' : verdicts.includes('at-risk') ? 'at-risk' : 'durable',
    risks: [...risks.values()],
  };
}

type Fields = ReadonlyMap<string, string>;

/** Undefined where the server does not let us ask, as hosted ones do. */
async function readConfigs(link: RedisLink): Promise<readonly Fields[] | undefined> {
  try {
    const replies = await link.everywhere('ask the server for its settings', ['config', 'get', '*append*']);
    return replies.map((reply) => pairsOf(reply));
  } catch (error) {
    if (isAppError(error, 'config.invalid') || (error instanceof Error && error.name === 'ReplyError')) return undefined;
    throw error;
  }
}

interface Told {
  readonly info: Fields;
  readonly config: Fields;
  readonly waitReplicas: number;
}

function settingsOf({ info, config, waitReplicas }: Told): RedisSettings {
  const fsync = config.get('appendfsync');
  return {
    role: info.get('role') === 'slave' ? 'replica' : 'primary',
    isLogged: switchOf(info.get('aof_enabled') ?? config.get('appendonly')),
    fsync: fsync === 'always' || fsync === 'everysec' || fsync === 'no' ? fsync : undefined,
    skipsFsyncOnRewrite: switchOf(config.get('no-appendfsync-on-rewrite')),
    evictionPolicy: info.get('maxmemory_policy'),
    replicas: Number(info.get('connected_slaves') ?? 0),
    waitReplicas,
  };
}

function switchOf(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : text === '1' || text === 'yes';
}

function infoOf(text: string): Fields {
  const lines = text.split('\r\n').filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

/** Newer servers answer with a map, older ones with a list of names and values. */
function pairsOf(reply: unknown): Fields {
  const flat = Array.isArray(reply) ? reply.map(String) : [];
  if (flat.length > 0) return new Map(flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? '']] : [])));
  return new Map(Object.entries(reply ?? {}).map(([name, value]) => [name, String(value)]));
}
