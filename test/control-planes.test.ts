// Three control planes as processes on one store, while rollouts climb: stopped, cut off, misled about the time, restarted.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@understudy/contract/client';
import type { PlanFile } from '@understudy/contract/plan-file';
import { isAppError } from '@understudy/core/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { seededRandom } from '../packages/server/src/storage/crash/seeded-random.ts';
import { type FaultProxy, openFaultProxy } from '../packages/server/src/storage/fault-proxy.contract.ts';
import { openPostgresStore } from '../packages/server/src/storage/postgres-store.ts';
import { isSkipped, startPostgres } from '../packages/server/src/storage/postgres-server.contract.ts';
import { startRedis } from '../packages/server/src/storage/redis-faults/redis-server.contract.ts';
import { isRedisSkipped } from '../packages/server/src/storage/redis-faults/redis-suite.contract.ts';
import { openRedisStore } from '../packages/server/src/storage/redis-store.ts';
import type { Store } from '../packages/server/src/storage/store.ts';
import { HAS_FAKETIME, startControlPlane } from './control-plane-process.ts';
import type { ServingProgram } from './serving-program.ts';

const FACTOR = Number(process.env['UNDERSTUDY_CRASH_FACTOR'] ?? 1);
const SEED = Number(process.env['UNDERSTUDY_CRASH_SEED'] ?? 1);
const ROUNDS = Math.round(8 * FACTOR);
const RESTARTS = Math.round(3 * FACTOR);
const LONGEST_STOP_MS = FACTOR > 1 ? 20_000 : 3000;
const TIMEOUT_MS = 180_000 * Math.max(1, FACTOR);
// An engine looks once a second, and a busy machine takes its time.
const TAKEOVER_MS = 10_000;
const ENVIRONMENT = 'production';
const PLANES = 3;

const PLAN: PlanFile = {
  name: 'eager',
  steps: [5, 10, 25, 50, 75, 100].map((traffic) => ({ traffic, hold: '0s', minSamples: 20 })),
  policy: { kind: 'thresholds' },
  checkEvery: '200ms',
};

const PHASE = z.object({ state: z.object({ phase: z.string() }) });

const SERVERS = [
  {
    name: 'PostgreSQL',
    isLeftOut: isSkipped,
    rounds: ROUNDS,
    start: async () => {
      const server = await startPostgres();
      const address = server.newAddress();
      const terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'understudy'";
      return {
        port: server.port,
        address,
        through: (port: number) => server.through(address, port),
        disconnect: async () => void (await server.sql(terminate)),
        open: (): Promise<Store> => openPostgresStore(address, { deadlineMs: 20_000 }),
        close: () => server.close(),
      };
    },
  },
  {
    name: 'Redis',
    isLeftOut: isRedisSkipped,
    rounds: Math.ceil(ROUNDS / 2),
    start: async () => {
      const server = await startRedis();
      const address = server.url.replace('timeout-ms=15000', 'timeout-ms=2000');
      return {
        port: server.port,
        address,
        through: (port: number) => address.replace(`:${server.port}/`, `:${port}/`),
        disconnect: async () => void server.cli('client', 'kill', 'type', 'normal'),
        open: (): Promise<Store> => openRedisStore(server.url),
        close: () => server.close(),
      };
    },
  },
];

describe.each(SERVERS.filter(({ isLeftOut }) => !isLeftOut))('three control planes on one $name', ({ start, rounds }) => {
  const data = mkdtempSync(join(tmpdir(), 'understudy-planes-'));
  const random = seededRandom(SEED);
  const planes: ServingProgram[] = [];
  const proxies: FaultProxy[] = [];
  const rolledBack = new Map<string, number>();
  const rollouts: { model: string; rollout: string }[] = [];
  let server: Awaited<ReturnType<typeof start>>;
  let store: Store;
  let token = '';
  let isOver = false;
  let reporting: Promise<void>;

  const clockFile = (place: number): string => join(data, `clock-${place}`);
  const startPlane = (place: number): Promise<ServingProgram> =>
    startControlPlane({
      store: server.through(proxies[place]?.port ?? 0),
      data,
      name: `g${place}`,
      ...(HAS_FAKETIME ? { clockFile: clockFile(place) } : {}),
    });

  beforeAll(async () => {
    server = await start();
    for (let place = 0; place < PLANES; place += 1) proxies.push(await openFaultProxy(server.port));
    planes.push(await startPlane(0));
    planes.push(...(await Promise.all([startPlane(1), startPlane(2)])));
    token = planes[0]?.firstToken() ?? '';
    store = await server.open();
    reporting = report();
  }, 90_000);
  afterAll(async () => {
    isOver = true;
    try {
      await reporting;
    } finally {
      for (const plane of planes) await plane.kill();
      await store.close();
      for (const proxy of proxies) await proxy.close();
      await server.close();
      rmSync(data, { recursive: true });
    }
  });

  /** Asks one control plane after the other under one key, as the command line does when it is told to ask again. */
  const insist: Client = async (name, input) => {
    const key = { idempotencyKey: crypto.randomUUID(), timeoutMs: 3000 };
    const endMs = performance.now() + 30_000;
    for (let turn = Math.floor(random() * PLANES); ; turn += 1) {
      const url = planes[turn % PLANES]?.controlUrl ?? '';
      try {
        return await createClient({ url, token, timeoutMs: 3000 })(name, { ...input, ...key });
      } catch (error) {
        const isPassing = isAppError(error, 'store.busy', 'store.write_failed', 'upstream.unreachable', 'request.shutting_down');
        const isLate = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'TypeError');
        if ((!isPassing && !isLate) || performance.now() > endMs) throw error;
        await sleep(50);
      }
    }
  };

  async function begin(): Promise<void> {
    const model = `m${rollouts.length}`;
    await insist('createModel', { body: { name: model } });
    for (const version of ['v1', 'v2']) await insist('registerVersion', { params: { model }, body: { version, external: true } });
    await insist('promoteVersion', { params: { model, version: 'v1' }, body: { reason: 'first' } });
    const { rollout } = await insist('startRollout', { body: { model, challenger: 'v2', plan: PLAN } });
    rollouts.push({ model, rollout: rollout.id });
  }

  /** Those that have not come to their end, by model. */
  async function live(): Promise<readonly string[]> {
    const documents = await store.list(ENVIRONMENT, 'rollout');
    const isLive = new Set(documents.filter(({ body }) => PHASE.parse(body).state.phase === 'stepping').map(({ id }) => id));
    return rollouts.filter(({ rollout }) => isLive.has(rollout)).map(({ model }) => model);
  }

  /** Good news of both arms, ten times a second. */
  async function report(): Promise<void> {
    for (let sequence = 0; !isOver; sequence += 1) {
      const counts = (await live()).flatMap((model) =>
        ['v1', 'v2'].map((version) => ({
          model,
          version,
          requests: 40,
          errors: 0,
          latencies: [[15, 40] satisfies [number, number]],
        })),
      );
      if (counts.length > 0) {
        await insist('reportObservations', { body: { reporter: 'web', boot: 'b', sequence, observations: [], counts } });
      }
      await sleep(100);
    }
  }

  const advances = async (rollout: string): Promise<number[]> => {
    const decisions = (await store.decisions(ENVIRONMENT, rollout, 10_000)).toReversed();
    return decisions.flatMap(({ decision }) =>
      decision.action === 'advance' && decision.next.phase === 'stepping' ? [decision.next.step] : [],
    );
  };

  /** How long it takes until any rollout takes its next step. */
  async function untilSomebodyGoesOn(): Promise<number> {
    const steps = async (): Promise<number> => {
      const all = await Promise.all(rollouts.slice(-3).map(({ rollout }) => store.decisions(ENVIRONMENT, rollout, 10_000)));
      return all.flat().filter(({ decision }) => decision.action !== 'hold').length;
    };
    const [beganMs, before] = [performance.now(), await steps()];
    while ((await steps()) === before) {
      if (performance.now() - beganMs > TAKEOVER_MS) break;
      await sleep(50);
    }
    return performance.now() - beganMs;
  }

  const FAULTS = [
    {
      name: 'stopped',
      begin: async (place: number) => planes[place]?.signal('SIGSTOP'),
      end: async (place: number) => planes[place]?.signal('SIGCONT'),
    },
    { name: 'disconnected', begin: () => server.disconnect(), end: async () => undefined },
    {
      name: 'half open',
      begin: async (place: number) => proxies[place]?.silence(true),
      end: async (place: number) => proxies[place]?.silence(false),
    },
    ...(HAS_FAKETIME
      ? ['+3600', '-3600'].map((shift) => ({
          name: `clock ${shift} s`,
          begin: async (place: number) => {
            writeFileSync(clockFile(place), `${shift}\n`);
            const differs = async (): Promise<number> => {
              const { headers } = await fetch(`${planes[place]?.controlUrl}/healthz`);
              return Math.abs(Date.parse(headers.get('date') ?? '') - Date.now());
            };
            await expect.poll(differs, { timeout: 10_000 }).toBeGreaterThan(3_000_000);
          },
          end: async (place: number) => writeFileSync(clockFile(place), '+0\n'),
        }))
      : []),
  ];

  async function expectOneStepAtATime(): Promise<void> {
    expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true });
    for (const { rollout } of rollouts) {
      const steps = await advances(rollout);
      expect(steps).toEqual(steps.map((_, n) => n + 1));
      const subject = { kind: 'rollout', id: rollout } as const;
      const entries = await store.journal(ENVIRONMENT, { subject, limit: 10_000 });
      expect(entries.filter(({ action }) => action === 'rollout.advanced').length).toBeLessThanOrEqual(steps.length);
      const revision = rolledBack.get(rollout);
      // What a person ended stays as it was left.
      if (revision !== undefined) expect(entries.filter((entry) => entry.revision > revision)).toEqual([]);
    }
  }

  it(
    'take at most one step at a time, keep what a person rolled back, and one of them goes on, whatever befalls another (F13)',
    async () => {
      const waits: { fault: string; ms: number }[] = [];
      for (let round = 0; round < rounds; round += 1) {
        for (let count = 0; count < 3; count += 1) await begin();
        const place = Math.floor(random() * PLANES);
        const fault = FAULTS[round % FAULTS.length];
        const lasts = sleep(500 + random() * (LONGEST_STOP_MS - 500));
        await fault?.begin(place);
        waits.push({ fault: fault?.name ?? '', ms: await untilSomebodyGoesOn() });
        // A person ends one of them, while one control plane may be about to take its next step.
        const { rollout = '' } = rollouts.at(-1) ?? {};
        try {
          await insist('rollBackRollout', { params: { rollout }, body: { reason: 'seen enough' } });
          rolledBack.set(rollout, (await store.read(ENVIRONMENT, 'rollout', rollout))?.revision ?? 0);
        } catch (error) {
          // It was at its end already.
          if (!isAppError(error, 'rollout.invalid_transition')) throw error;
        }
        await lasts;
        await fault?.end(place);
        // Those of before may have come to their end meanwhile.
        await begin();
        waits.push({ fault: `after ${fault?.name}`, ms: await untilSomebodyGoesOn() });
      }
      if (process.env['UNDERSTUDY_CRASH_SHOW'] === '1') process.stderr.write(`${JSON.stringify(waits)}\n`);
      await expect.poll(live, { timeout: 30_000, interval: 200 }).toEqual([]);
      await expectOneStepAtATime();
      expect(waits.filter(({ ms }) => ms > TAKEOVER_MS)).toEqual([]);
      expect(rolledBack.size).toBeGreaterThan(rounds / 2);
    },
    TIMEOUT_MS,
  );

  it(
    'are restarted one after the other without a write that fails for whoever asks again, and without a step taken twice (F10)',
    async () => {
      for (let restart = 0; restart < RESTARTS; restart += 1) {
        const place = restart % PLANES;
        const writing = begin();
        expect(await planes[place]?.stop()).toBe(0);
        planes[place] = await startPlane(place);
        await writing;
        // That of before may have come to its end while the process started.
        await begin();
        expect(await untilSomebodyGoesOn()).toBeLessThan(TAKEOVER_MS);
      }
      await expectOneStepAtATime();
    },
    TIMEOUT_MS,
  );

  it.runIf(HAS_FAKETIME)(
    'go by the clock of the server, whatever their own says when they start (F16)',
    async () => {
      for (const [turn, shift] of ['+3600', '-3600'].entries()) {
        await planes[1]?.stop();
        writeFileSync(clockFile(1), `${shift}\n`);
        const plane = await startPlane(1);
        planes[1] = plane;
        const admin = createClient({ url: plane.controlUrl, token });
        await admin('createModel', { body: { name: `shifted-${turn}` } });
        const { model } = await admin('getModel', { params: { model: `shifted-${turn}` } });
        expect(Math.abs(model.createdAtMs - Date.now())).toBeLessThan(60_000);
      }
    },
    TIMEOUT_MS,
  );
});
