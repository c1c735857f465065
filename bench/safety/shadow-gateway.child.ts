// Our gateway alone, on a snapshot that it is given: a champion and a second version, which is its shadow when asked for. Started by `sick-shadows.ts`.
import { parseArgs } from 'node:util';
import { DEFAULT_COMPARISON, DEFAULT_ROUTING } from '@understudy/core/model';
import type { Snapshot, SnapshotVersion } from '@understudy/core/snapshot';
import { systemClock } from '../../packages/server/src/clock.ts';
import { openGateway } from '../../packages/server/src/gateway/gateway.ts';
import { GATEWAY_DEFAULTS } from '../../packages/server/src/gateway/gateway-options.ts';
import { systemTimers } from '../../packages/server/src/gateway/timers.ts';
import { openUpstream } from '../../packages/server/src/runtimes/upstream-runtime.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    champion: { type: 'string' },
    second: { type: 'string' },
    shadow: { type: 'boolean' },
    unbounded: { type: 'boolean' },
  },
});
const { port, champion, second, shadow = false, unbounded = false } = values;
if (port === undefined || champion === undefined || second === undefined) {
  throw new Error('--port, --champion and --second are needed');
}

const UPSTREAM = { connections: 256, connectTimeoutMs: 2000, idleTimeoutMs: 60_000, probeTimeoutMs: 5000 };

// The planted bug: no bound on copies, on their connections, or on their time.
const bounds = unbounded ? { shadowMaxInFlight: Infinity, shadowMaxBytes: Infinity } : {};
const deadlineMs = unbounded ? 600_000 : DEFAULT_ROUTING.deadlineMs;

const versionOf = (version: string, url: string): SnapshotVersion => ({
  version,
  source: { kind: 'upstream', url, protocol: 'predict', remoteModel: 'digits' },
});

const snapshot: Snapshot = {
  schema: 1,
  environment: 'bench',
  revision: 1,
  tokens: [],
  models: [
    {
      name: 'digits',
      champion: 'v1',
      isKilled: false,
      routing: { ...DEFAULT_ROUTING, deadlineMs },
      versions: [versionOf('v1', champion), versionOf('v2', second)],
      ...(shadow
        ? { shadow: { version: 'v2', boundary: 100_000, salt: 's', rules: [], lines: [], comparison: DEFAULT_COMPARISON } }
        : {}),
    },
  ],
};

await openGateway(
  {
    ...GATEWAY_DEFAULTS,
    ...bounds,
    port: Number(port),
    gateway: 'bench',
    boot: 'bench',
    release: 'bench',
    requestIdKey: new Uint8Array(32).fill(7),
    allowAnonymous: true,
  },
  {
    snapshots: {
      subscribe(follower) {
        follower.take(snapshot);
        return () => {};
      },
    },
    reports: () => Promise.resolve(),
    openRuntime: (_model, { version, source }) => {
      if (source.kind !== 'upstream') throw new Error('the benchmark has model servers only');
      return openUpstream(source, unbounded && version === 'v2' ? { ...UPSTREAM, connections: Infinity } : UPSTREAM);
    },
    clock: systemClock,
    timers: systemTimers,
    random: Math.random,
    log: () => {},
  },
);
