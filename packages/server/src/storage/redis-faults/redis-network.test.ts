// A server that hangs, drops connections, forgets, or is busy with somebody else's script; replicas; lost hints; a real cluster.
import { setTimeout as sleep } from 'node:timers/promises';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import type { FeedbackMark } from '@understudy/core/feedback';
import { expect, it } from 'vitest';
import { openClosing } from '../closed-after-each.contract.ts';
import type { RedisPlantedBugs } from '../redis-commit.ts';
import { keysOf } from '../redis-keys.ts';
import { inspectRedis } from '../redis-settings.ts';
import { openRedisDump } from '../redis-dump.ts';
import { openRedisStore } from '../redis-store.ts';
import { copyStore } from '../store-copy.ts';
import { blockOf, commitOf, decide, ENVIRONMENT, put, reportOf, writeTo } from '../samples.contract.ts';
import { type ServerOptions, serverPrograms, startCluster, startRedis, type TestServer } from './redis-server.contract.ts';
import { describeRedis } from './redis-suite.contract.ts';

const closed = openClosing();
const server = async (options: ServerOptions = {}): Promise<TestServer> => closed(await startRedis(options));
const storeAt = async (url: string, planted: RedisPlantedBugs = {}) => closed(await openRedisStore(url, { planted }));
const MARK: FeedbackMark = {
  model: 'fraud',
  version: 'v1',
  arm: 'champion',
  request: 'r1',
  requestAtMs: 60_500,
  name: 'accuracy',
  value: 1,
  givenAtMs: 61_000,
};
const patientFor = (url: string, ms: number): string => url.replace(/timeout-ms=\d+/, `timeout-ms=${ms}`);

describeRedis('connections that are cut (F08)', () => {
  it('commits each change once while CLIENT KILL goes on', async () => {
    const redis = await server();
    const store = await storeAt(redis.url);
    let isDone = false;
    const kill = async (): Promise<void> => {
      while (!isDone) {
        redis.cli('client', 'kill', 'type', 'normal');
        await sleep(15);
      }
    };
    const commit = async (): Promise<void> => {
      for (let revision = 0; revision < 60; revision += 1) {
        expect(await store.commit(put('fraud', revision, revision))).toEqual({ outcome: 'committed', revision: revision + 1 });
      }
      isDone = true;
    };
    await Promise.all([commit(), kill()]);
    expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries: 60 });
  }, 60_000);

  it('never hangs on a server that does not answer, and says that the outcome is unknown when it is', async () => {
    const redis = await server();
    const store = await storeAt(patientFor(redis.url, 400));
    await store.commit(put('fraud', 0, 1));
    redis.signal('SIGSTOP');
    const began = performance.now();
    await expect(store.revision(ENVIRONMENT)).rejects.toMatchObject({ code: 'store.busy' });
    const report = store.appendReport(ENVIRONMENT, reportOf(1), 1);
    await expect(report).rejects.toMatchObject({ code: expect.stringMatching(/^store\./) });
    expect(performance.now() - began).toBeLessThan(10_000);
    redis.signal('SIGCONT');
    await expect.poll(() => store.revision(ENVIRONMENT).catch(() => 0)).toBe(1);
  });

  it("waits for somebody else's script to be killed", async () => {
    const redis = await server({ settings: ['--busy-reply-threshold', '10'] });
    const store = await storeAt(redis.url);
    await store.commit(put('fraud', 0, 1));
    const blocker = spawn('redis-cli', ['-p', String(redis.port), 'eval', 'while true do end', '0'], { stdio: 'ignore' });
    const ended = once(blocker, 'exit');
    const isBusy = (): boolean => {
      try {
        return !redis.cli('ping').includes('PONG');
      } catch {
        return true;
      }
    };
    await expect.poll(isBusy).toBe(true);
    const commit = store.commit(put('fraud', 1, 2));
    redis.cli('script', 'kill');
    expect(await commit).toEqual({ outcome: 'committed', revision: 2 });
    await ended;
  });

  it('runs its scripts again after the server forgot them', async () => {
    const redis = await server();
    const store = await storeAt(redis.url);
    await store.commit(put('fraud', 0, 1));
    redis.cli('script', 'flush');
    expect(await store.commit(put('fraud', 1, 2))).toEqual({ outcome: 'committed', revision: 2 });
  });
});

describeRedis('a crowd of commits', () => {
  it('is refused beyond what the store can work off, instead of filling its memory', async () => {
    const redis = await server();
    const store = await storeAt(patientFor(redis.url, 20_000));
    redis.signal('SIGSTOP');
    const crowd = Array.from({ length: 1001 }, (_, n) => store.commit(put(`m${n}`, 0, n)));
    await expect(crowd[1000]).rejects.toMatchObject({
      code: 'store.busy',
      message: expect.stringContaining('1000 changes wait'),
    });
    redis.signal('SIGCONT');
    expect(new Set((await Promise.all(crowd.slice(0, 1000))).map(({ outcome }) => outcome))).toEqual(new Set(['committed']));
  }, 60_000);
});

describeRedis('a server that forgets (F09)', () => {
  async function afterFlush(planted: RedisPlantedBugs) {
    const redis = await server();
    const store = await storeAt(redis.url, planted);
    await store.commit(put('fraud', 0, 1));
    redis.cli('flushall');
    return { redis, store };
  }

  it('is not written to any more, so that history does not fork, until somebody restarts', async () => {
    const { redis, store } = await afterFlush({});
    const refusal = { code: 'store.corrupt', message: expect.stringContaining('it had revision 1 and now has 0') };
    await expect(store.commit(put('other', 0, 1))).rejects.toMatchObject(refusal);
    await expect(store.revision(ENVIRONMENT)).rejects.toMatchObject(refusal);
    await expect(store.readAll(ENVIRONMENT)).rejects.toMatchObject(refusal);
    const restarted = await storeAt(redis.url);
    expect(await restarted.commit(put('other', 0, 1))).toEqual({ outcome: 'committed', revision: 1 });
  });

  it('would be noticed by a test if it went unnoticed', async () => {
    const { store } = await afterFlush({ ignoreLoss: true });
    expect(await store.commit(put('other', 0, 1))).toEqual({ outcome: 'committed', revision: 1 });
  });
});

describeRedis('lost hints (F09)', () => {
  it('cost nothing but time: the revision is the truth, and a listener that comes back is told', async () => {
    const redis = await server();
    const [one, other] = [await storeAt(redis.url), await storeAt(redis.url)];
    const heard: number[] = [];
    other.onCommit((_environment, revision) => heard.push(revision));
    expect(redis.cli('pubsub', 'numsub', 'understudy:commits:0')).toContain('2');
    // Whoever listens may not: what is said from now on is lost.
    redis.cli('acl', 'setuser', 'default', 'resetchannels');
    redis.cli('client', 'kill', 'type', 'pubsub');
    for (let revision = 0; revision < 3; revision += 1) await one.commit(put('fraud', revision, revision));
    expect(heard).toEqual([]);
    expect(await other.revision(ENVIRONMENT)).toBe(3);
    redis.cli('acl', 'setuser', 'default', 'allchannels');
    redis.cli('client', 'kill', 'type', 'pubsub');
    redis.cli('client', 'kill', 'type', 'normal');
    let revision = 3;
    await expect
      .poll(
        async () => {
          await one.commit(put('fraud', revision, revision));
          revision += 1;
          return heard.length;
        },
        { timeout: 10_000 },
      )
      .toBeGreaterThan(0);
  });
});

describeRedis('replicas', () => {
  async function pair(waitReplicas: number) {
    const primary = await server();
    const replica = await server({ settings: ['--replicaof', `127.0.0.1 ${primary.port}`] });
    await expect.poll(() => replica.cli('info', 'replication'), { timeout: 15_000 }).toContain('master_link_status:up');
    await expect.poll(() => primary.cli('info', 'replication')).toContain('state=online');
    return { primary, replica, store: await storeAt(`${patientFor(primary.url, 3000)}&wait-replicas=${waitReplicas}`) };
  }
  const once1 = { ...put('fraud', 1, 2), idempotency: { key: 'k', request: 'd', answer: 1 } };

  it('that are waited for have what was acknowledged; what they do not have is not acknowledged', async () => {
    const { replica, store } = await pair(1);
    expect(await store.commit(put('fraud', 0, 1))).toEqual({ outcome: 'committed', revision: 1 });
    expect(replica.cli('get', keysOf(ENVIRONMENT).head)).toMatch(/^1 1 /);
    replica.signal('SIGSTOP');
    const refusal = { code: 'store.write_failed', message: expect.stringContaining('0 of 1 replicas') };
    await expect(store.commit(once1)).rejects.toMatchObject(refusal);
    // Nor is a repeated call told that it is safe.
    await expect(store.commit(once1)).rejects.toMatchObject(refusal);
    await expect(store.appendReport(ENVIRONMENT, reportOf(1), 1)).rejects.toMatchObject(refusal);
    await expect(store.saveFeedback(ENVIRONMENT, [MARK])).rejects.toMatchObject(refusal);
    await expect(store.keepSecret('key', new Uint8Array([7]))).rejects.toMatchObject(refusal);
    replica.signal('SIGCONT');
    expect(await store.commit(once1)).toMatchObject({ outcome: 'replayed' });
  }, 60_000);

  it('that nobody waits for may lack what was acknowledged', async () => {
    const { primary, replica, store } = await pair(0);
    expect(await inspectRedis(primary.url)).toMatchObject({ risks: [{ fix: expect.stringContaining('?wait-replicas=1') }] });
    replica.signal('SIGSTOP');
    primary.cli('client', 'kill', 'type', 'replica');
    expect(await store.commit(put('fraud', 0, 1))).toEqual({ outcome: 'committed', revision: 1 });
    await primary.kill();
    replica.signal('SIGCONT');
    replica.cli('replicaof', 'no', 'one');
    const promoted = await storeAt(replica.url);
    expect(await promoted.revision(ENVIRONMENT)).toBe(0);
  }, 60_000);
});

describeRedis('opening', () => {
  it('warns of what could be lost, and how to set it', async () => {
    const redis = await server({ settings: ['--appendfsync', 'everysec'] });
    const warned: [object, string][] = [];
    const store = await openRedisStore(redis.url, { log: { warn: (fields, event) => warned.push([fields, event]) } });
    await store.close();
    expect(warned).toEqual([
      [
        expect.objectContaining({ loses: expect.stringContaining('last second'), fix: expect.stringContaining('always') }),
        'store.durability',
      ],
    ]);
    expect(await inspectRedis(redis.url)).toMatchObject({
      verdict: 'at-risk',
      isCluster: false,
      server: expect.stringMatching(/^(Redis|Valkey) \d/),
    });
  });

  it('warns of nothing where nothing can be lost', async () => {
    const redis = await server();
    expect(await inspectRedis(redis.url)).toMatchObject({ verdict: 'durable', risks: [] });
  });

  it('refuses a server that would delete state by itself', async () => {
    const redis = await server({ settings: ['--maxmemory-policy', 'allkeys-lru'] });
    const refusal = { code: 'config.invalid', message: expect.stringContaining('CONFIG SET maxmemory-policy noeviction') };
    await expect(openRedisStore(redis.url)).rejects.toMatchObject(refusal);
  });

  it.each(serverPrograms())('refuses a user who could only do half of a commit: $name', async ({ program }) => {
    const redis = await server({ program });
    redis.cli('acl', 'setuser', 'half', 'on', '>secret', '~*', '&*', '+@all', '-zadd');
    const url = redis.url.replace('//', '//half:secret@');
    await expect(openRedisStore(url)).rejects.toMatchObject({ code: 'config.invalid' });
    redis.cli('acl', 'setuser', 'half', '+zadd', '-config');
    const warned: object[] = [];
    const store = await openRedisStore(url, { log: { warn: (fields) => warned.push(fields) } });
    await store.close();
    expect(warned).toMatchObject([{ loses: expect.stringContaining('does not tell') }]);
  });

  it('needs no more than docs/how-to/redis.md lets its user do', async () => {
    const redis = await server();
    const page = readFileSync(new URL('../../../../../docs/how-to/redis.md', import.meta.url), 'utf8');
    const [, rules = ''] = /ACL SETUSER understudy (.*)/.exec(page) ?? [];
    redis.cli('acl', 'setuser', 'understudy', ...rules.split(' '));
    const warned: object[] = [];
    const log = { warn: (fields: object) => warned.push(fields) };
    const urlOf = (user: string, database: number) =>
      redis.url.replace('//', `//${user}:SECRET@`).replace('/0?', `/${database}?`);
    const store = closed(await openRedisStore(urlOf('understudy', 0), { log }));
    store.onCommit(() => undefined);
    expect(redis.cli('pubsub', 'numsub', 'understudy:commits:0')).toContain('1');
    const extra = { writes: [writeTo('fraud', 0, 1)], idempotency: { key: 'k', request: 'd', answer: 1 } };
    await store.commit(decide('r1', 1, extra));
    await store.commit(commitOf([writeTo('fraud', 1)]));
    await store.appendReport(ENVIRONMENT, reportOf(1, { blocks: [blockOf('fraud', 1)] }), 5);
    expect(await store.evidence(ENVIRONMENT, { afterCursor: 0, limit: 9, sinceMs: 1 })).toHaveLength(1);
    const newest = { limit: 9, order: 'newest-first', subject: { kind: 'model', id: 'fraud' } } as const;
    expect(await store.journal(ENVIRONMENT, newest)).toHaveLength(2);
    expect(await store.journal(ENVIRONMENT, { limit: 9, order: 'newest-first' })).toHaveLength(2);
    expect(await store.decisions(ENVIRONMENT, 'r1', 9)).toHaveLength(1);
    expect(await store.gateways(ENVIRONMENT)).toHaveLength(1);
    expect(await store.list(ENVIRONMENT, 'model')).toEqual([]);
    expect(await store.findIdempotent(ENVIRONMENT, 'k')).toBeDefined();
    expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries: 2 });
    await store.saveFeedback(ENVIRONMENT, [MARK]);
    expect(await store.feedback(ENVIRONMENT, { model: 'fraud', fromCohort: 0, toCohort: 9 })).toHaveLength(1);
    expect(await store.keepSecret('key', new Uint8Array([7]))).toEqual(Buffer.from([7]));
    expect(await store.prune(ENVIRONMENT, { evidenceMs: 1e9, feedbackMs: 1e9, idempotencyMs: 2e12 })).toEqual({
      evidence: 1,
      idempotency: 1,
    });
    expect(await store.feedback(ENVIRONMENT, { model: 'fraud', fromCohort: 0, toCohort: 9 })).toEqual([]);
    const [from, to] = await Promise.all([0, 1].map(async (n) => closed(await openRedisDump(urlOf('understudy', n)))));
    if (from !== undefined && to !== undefined) await copyStore(from, to, () => undefined);
    expect(warned).toEqual([]);
  });

  it('refuses a wrong password and an address where nobody is, without saying the password', async () => {
    const redis = await server();
    redis.cli('config', 'set', 'requirepass', 'correct');
    const url = patientFor(redis.url, 500).replace('//', '//:wrong-secret@');
    const error: unknown = await openRedisStore(url).catch((refusal: unknown) => refusal);
    expect(error).toMatchObject({ code: 'config.invalid', message: expect.stringContaining('WRONGPASS') });
    expect(String(error)).not.toContain('wrong-secret');
    await expect(openRedisStore('redis://127.0.0.1:1?timeout-ms=200')).rejects.toMatchObject({ code: 'store.busy' });
  });

  it('refuses what a newer release wrote, and what nobody of ours wrote (F06: there is one format, nothing migrates)', async () => {
    const redis = await server();
    const store = await storeAt(redis.url);
    redis.cli('set', keysOf(ENVIRONMENT).head, `2 1 ${'0'.repeat(64)}`);
    await expect(store.commit(put('fraud', 0, 1))).rejects.toMatchObject({ code: 'config.invalid' });
    redis.cli('set', keysOf(ENVIRONMENT).head, 'garbage');
    await expect(store.readAll(ENVIRONMENT)).rejects.toMatchObject({ code: 'store.corrupt' });
  });
});

describeRedis('verifying the journal', () => {
  const keys = keysOf(ENVIRONMENT);
  it.each([
    { name: 'a deleted entry', change: ['xdel', keys.journal, '2-0'], problem: 'missing' },
    { name: 'a deleted last entry', change: ['xdel', keys.journal, '3-0'], problem: 'not what its last entry' },
    { name: 'a changed document', change: ['hset', keys.documents('model'), 'b', '1:{"n":9}'], problem: 'model "b"' },
    { name: 'a deleted document', change: ['hdel', keys.documents('model'), 'a'], problem: 'gone' },
    { name: 'a broken document', change: ['hset', keys.documents('model'), 'a', 'x'], problem: 'documents' },
    { name: 'another head', change: ['set', keys.head, `1 9 ${'0'.repeat(64)}`], problem: 'head' },
  ])('finds $name', async ({ change, problem }) => {
    const redis = await server();
    const store = await storeAt(redis.url);
    await store.commit(commitOf([writeTo('a', 0, { n: 1 }), writeTo('b', 0, { n: 1 })]));
    await store.commit(put('a', 1, { n: 2 }));
    await store.commit(put('a', 2, { n: 3 }));
    redis.cli(...change);
    expect(await store.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: false, problem: expect.stringContaining(problem) });
  });
});

describeRedis('a cluster of three primaries', () => {
  it('takes every command: all keys of an environment lie in one slot, and every script names its keys', async () => {
    const cluster = closed(await startCluster());
    const [first] = cluster.servers;
    const store = await storeAt(first?.url ?? '');
    // Enough environments for every node to hold some.
    const environments = ['production', 'staging', 'a', 'b', 'c', 'with {braces}', 'ünï', 'd'];
    const heard = new Set<string>();
    store.onCommit((environment) => heard.add(environment));
    for (const environment of environments) {
      expect(await store.commit({ ...put('fraud', 0, 1), environment })).toEqual({ outcome: 'committed', revision: 1 });
      const extra = {
        environment,
        writes: [writeTo('fraud', 1), writeTo('churn', 0, 2)],
        idempotency: { key: 'k', request: 'd', answer: 1 },
      };
      expect(await store.commit(decide('r1', 1, extra))).toEqual({ outcome: 'committed', revision: 2 });
      expect(await store.commit(decide('r1', 1, { environment }))).toMatchObject({ outcome: 'already-decided' });
      await store.appendReport(environment, reportOf(1, { blocks: [blockOf('fraud', 1), blockOf('churn', 2)] }), 5);
      expect(await store.evidence(environment, { afterCursor: 0, limit: 9 })).toHaveLength(2);
      expect(await store.evidence(environment, { afterCursor: 0, limit: 9, model: 'churn', sinceMs: 1 })).toHaveLength(1);
      expect(await store.journal(environment, { limit: 9, subject: { kind: 'model', id: 'fraud' } })).toHaveLength(2);
      expect(await store.readAll(environment)).toMatchObject({ revision: 2, documents: [{ id: 'churn' }] });
      expect(await store.verifyJournal(environment)).toMatchObject({ intact: true, entries: 2 });
      expect(await store.gateways(environment)).toHaveLength(1);
      await store.saveFeedback(environment, [MARK, { ...MARK, model: 'churn' }]);
      expect(await store.feedback(environment, { model: 'churn', fromCohort: 0, toCohort: 9 })).toHaveLength(1);
      expect(await store.prune(environment, { evidenceMs: 9, feedbackMs: 9, idempotencyMs: 2e12 })).toEqual({
        evidence: 2,
        idempotency: 1,
      });
    }
    expect(await store.keepSecret('key', new Uint8Array([7]))).toEqual(Buffer.from([7]));
    const waiting = await storeAt(`${patientFor(first?.url ?? '', 2000)}&wait-replicas=1`);
    for (const environment of environments) {
      const refusal = { code: 'store.write_failed', message: expect.stringContaining('0 of 1 replicas') };
      await expect(waiting.commit({ ...put('waited', 0, 1), environment })).rejects.toMatchObject(refusal);
    }
    expect(heard).toEqual(new Set(environments));
    expect(cluster.servers.map((one) => Number(one.cli('dbsize')) > 0)).toEqual([true, true, true]);
    expect(await inspectRedis(first?.url ?? '')).toMatchObject({ verdict: 'durable', isCluster: true });
    await expect(openRedisStore((first?.url ?? '').replace('/0?', '/1?'))).rejects.toMatchObject({ code: 'config.invalid' });
  }, 60_000);

  it('is copied, all environments of it, from and to a cluster', async () => {
    const cluster = closed(await startCluster());
    const url = cluster.servers[1]?.url ?? '';
    const alone = await server({ settings: ['--databases', '4'] });
    const store = await storeAt(alone.url);
    for (const environment of ['production', 'staging', 'a', 'b', 'with {braces}', 'ünï']) {
      await store.commit({ ...put('fraud', 0, 1), environment });
      await store.commit(decide('r1', 1, { environment }));
      await store.appendReport(environment, reportOf(1, { blocks: [blockOf('fraud', 1)] }), 5);
      await store.saveFeedback(environment, [MARK]);
    }
    const [first, second, third] = await Promise.all(
      [alone.url, url, alone.url.replace('/0?', '/1?')].map(async (one) => closed(await openRedisDump(one))),
    );
    if (first === undefined || second === undefined || third === undefined) throw new Error('not open');
    const there = await copyStore(first, second, () => undefined);
    expect(there.environments).toHaveLength(6);
    expect(await copyStore(second, third, () => undefined)).toEqual(there);
    expect(cluster.servers.map((one) => Number(one.cli('dbsize')) > 0)).toEqual([true, true, true]);
  }, 60_000);

  it('goes on with a node that was killed and came back, and keeps what it had acknowledged', async () => {
    const cluster = closed(await startCluster());
    const [first, ...others] = cluster.servers;
    const store = await storeAt(patientFor(first?.url ?? '', 1000));
    const environments = ['production', 'staging', 'a', 'b', 'c', 'd'];
    for (const environment of environments) await store.commit({ ...put('fraud', 0, 1), environment });
    for (const node of others) await node.kill();
    const outcomes = await Promise.allSettled(environments.map((environment) => store.revision(environment)));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason.code);
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused)).toEqual(new Set(['store.busy']));
    for (const node of others) await node.start();
    for (const environment of environments) {
      await expect
        .poll(() => store.commit({ ...put('fraud', 1, 2), environment }).then(({ outcome }) => outcome, String), {
          timeout: 30_000,
        })
        .toMatch(/^(committed|conflict)$/);
      expect(await store.verifyJournal(environment)).toMatchObject({ intact: true, entries: 2 });
    }
  }, 90_000);
});
