/** What the settings of a Redis server mean for changes that were acknowledged. The store asks when it opens, `doctor` when it is run. */

/** Settings of one server; undefined where the server does not tell. */
export interface RedisSettings {
  readonly role: 'primary' | 'replica';
  /** `appendonly`. */
  readonly isLogged: boolean | undefined;
  /** `appendfsync`. */
  readonly fsync: 'always' | 'everysec' | 'no' | undefined;
  /** `no-appendfsync-on-rewrite`. */
  readonly skipsFsyncOnRewrite: boolean | undefined;
  /** `maxmemory-policy`. */
  readonly evictionPolicy: string | undefined;
  readonly replicas: number;
  /** How many replicas a change waits for before it is acknowledged. */
  readonly waitReplicas: number;
}

/** One way in which something acknowledged could be lost. */
export interface DurabilityRisk {
  /** What could be lost, and when. */
  readonly loses: string;
  /** How to set it. */
  readonly fix: string;
}

/**
 * `durable`: nothing acknowledged is lost while the server's disk survives, nor in a failover when replicas are waited for.
 * `at-risk`: something could be, as the risks say. `unusable`: state would disappear by itself.
 */
export interface RedisDurability {
  readonly verdict: 'durable' | 'at-risk' | 'unusable';
  readonly risks: readonly DurabilityRisk[];
}

/** What could be lost with these settings. */
export function durabilityOf(settings: RedisSettings): RedisDurability {
  const eviction = evictionRisk(settings);
  if (eviction !== undefined) return { verdict: 'unusable', risks: [eviction] };
  const risks = [roleRisk(settings), ...logRisks(settings), policyUnknown(settings), replicaRisk(settings)].filter(
    (risk) => risk !== undefined,
  );
  return { verdict: risks.length === 0 ? 'durable' : 'at-risk', risks };
}

function evictionRisk({ evictionPolicy }: RedisSettings): DurabilityRisk | undefined {
  if (evictionPolicy === undefined || evictionPolicy === 'noeviction') return undefined;
  const which = evictionPolicy.startsWith('volatile') ? 'keys that expire, which other programs may share with us' : 'any key';
  return {
    loses: `maxmemory-policy is ${evictionPolicy}: when its memory is full the server deletes ${which}: models, rollouts, the journal`,
    fix: 'CONFIG SET maxmemory-policy noeviction, and the same in redis.conf; writes are then refused when memory is full',
  };
}

function roleRisk({ role }: RedisSettings): DurabilityRisk | undefined {
  if (role === 'primary') return undefined;
  return { loses: 'the server is a replica: it takes no change at all', fix: 'give the address of the primary' };
}

const LOG_FIX = 'CONFIG SET appendonly yes and CONFIG SET appendfsync always, and the same in redis.conf';

function logRisks({ isLogged, fsync, skipsFsyncOnRewrite }: RedisSettings): readonly (DurabilityRisk | undefined)[] {
  if (isLogged === false) {
    return [
      {
        loses: 'appendonly is no: a crash or restart of the server loses every change since its last RDB snapshot, or all',
        fix: LOG_FIX,
      },
    ];
  }
  if (isLogged === undefined || fsync === undefined) {
    return [
      {
        loses: 'the server does not tell appendonly and appendfsync: what a crash of it would lose is unknown',
        fix: 'let this user run CONFIG GET, or ask whoever runs the server for appendonly yes and appendfsync always',
      },
    ];
  }
  return [fsyncRisk(fsync), rewriteRisk(skipsFsyncOnRewrite)];
}

function fsyncRisk(fsync: 'always' | 'everysec' | 'no'): DurabilityRisk | undefined {
  switch (fsync) {
    case 'always':
      return undefined;
    case 'everysec':
      return {
        loses: 'appendfsync is everysec: a power cut or a crash of the machine loses the changes of its last second or two',
        fix: LOG_FIX,
      };
    case 'no':
      return {
        loses: 'appendfsync is no: a power cut or a crash of the machine loses the changes of about its last 30 seconds',
        fix: LOG_FIX,
      };
  }
}

function rewriteRisk(skips: boolean | undefined): DurabilityRisk | undefined {
  if (skips !== true) return undefined;
  return {
    loses: 'no-appendfsync-on-rewrite is yes: a power cut while the log is rewritten loses all changes since the rewrite began',
    fix: 'CONFIG SET no-appendfsync-on-rewrite no, and the same in redis.conf',
  };
}

function policyUnknown({ evictionPolicy }: RedisSettings): DurabilityRisk | undefined {
  if (evictionPolicy !== undefined) return undefined;
  return {
    loses: 'the server does not tell maxmemory-policy: unless it is noeviction, the server deletes state when its memory is full',
    fix: 'ask whoever runs the server for maxmemory-policy noeviction',
  };
}

function replicaRisk({ replicas, waitReplicas }: RedisSettings): DurabilityRisk | undefined {
  if (waitReplicas > replicas) {
    return {
      loses: `every change waits for ${waitReplicas} replicas and the server has ${replicas}: no change will be acknowledged`,
      fix: `bring replicas back, or lower wait-replicas in the address`,
    };
  }
  if (replicas === 0 || waitReplicas > 0) return undefined;
  return {
    loses: `the server has ${count(replicas)} and nothing waits for them: a failover loses the changes that the new primary has not got yet`,
    fix: `add ?wait-replicas=${Math.ceil(replicas / 2)} to the address; together with the primary that is a majority`,
  };
}

function count(replicas: number): string {
  return replicas === 1 ? '1 replica' : `${replicas} replicas`;
}
