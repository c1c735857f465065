// The import of rollout:{name} hashes and their mirror, on a real server and a real Redis.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createClient } from '@understudy/contract/client';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from './cli/test-cli.ts';
import { startUnderstudy } from './compose.ts';
import { readConfig } from './config.ts';
import { importRedisRolloutsCommand } from './import-command.ts';
import { openLog } from './log.ts';
import { startRedis, type TestServer } from './storage/redis-faults/redis-server.contract.ts';
import { describeRedis } from './storage/redis-faults/redis-suite.contract.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function startServer(settings: object = {}) {
  const directory = await mkdtemp(path.join(tmpdir(), 'understudy-import-'));
  closing.push(() => rm(directory, { recursive: true, force: true }));
  const config = readConfig(
    { store: `sqlite:${directory}/data`, controlPort: 0, gatewayPort: 0, drainGraceMs: 0, ...settings },
    {},
  );
  const onFatal = (error: unknown): never => {
    throw error;
  };
  const server = await startUnderstudy(config, { log: openLog('silent'), onFatal });
  closing.push(() => server.close());
  const token = server.adminToken ?? '';
  const tokenFile = path.join(directory, 'token');
  await writeFile(tokenFile, token, { mode: 0o600 });
  const admin = createClient({ url: server.controlUrl, token });
  const cli = (...words: readonly string[]) =>
    run([...words, '--token-file', tokenFile], {
      url: server.controlUrl,
      cwd: directory,
      extraCommands: [importRedisRolloutsCommand],
    });
  return { admin, cli };
}

describeRedis('rollouts in Redis hashes', () => {
  let redis: TestServer;
  beforeEach(async () => {
    redis = await startRedis();
    closing.push(() => redis.close());
  });
  const hash = (name: string, fields: Record<string, string | number>) =>
    redis.cli('hset', `rollout:${name}`, ...Object.entries(fields).flat().map(String));
  const statusOf = (name: string) =>
    Object.fromEntries(
      redis
        .cli('hgetall', `rollout:${name}`)
        .split('\n')
        .flatMap((word, index, all) => (index % 2 === 0 ? [[word, all[index + 1] ?? '']] : [])),
    );

  it('are taken over, with a report of what could not be, and once only', async () => {
    hash('prediction_model', { champion: 'model_v1', challenger: 'model_v2', percentage: 25, status: 'active', team: 'risk' });
    hash('rested', { champion: 'v1', challenger: 'v2', percentage: 50, status: 'paused' });
    hash('failed', { champion: 'v1', challenger: 'v2', percentage: 0, status: 'rolled_back' });
    hash('done', { champion: 'v2', challenger: '', percentage: 0, status: 'promoted' });
    hash('broken', { champion: 'v1', percentage: 'many', status: 'active' });
    redis.cli('set', 'rollout:no-hash', 'x');
    const { admin, cli } = await startServer();

    const planned = await cli('import', 'redis-rollouts', redis.url, '--dry-run', '--json');
    expect(planned).toMatchObject({ code: 0, stderr: expect.stringContaining('not carried over: broken: everything') });
    expect(await admin('listModels', {})).toEqual([]);
    expect(JSON.parse(planned.stdout)).toMatchObject({ dryRun: true });

    const { code, stdout, stderr } = await cli('import', 'redis-rollouts', redis.url);
    expect({ code, lost: stderr.trim().split('\n') }).toEqual({
      code: 0,
      lost: [
        expect.stringContaining('broken: everything: percentage'),
        expect.stringContaining('prediction_model: fields that have no meaning here: team'),
        expect.stringContaining(
          'rested: the paused rollout of v2 at 50 %: start it when you are ready: understudy rollout start rested v2',
        ),
      ],
    });
    expect(stdout).toContain('prediction_model: model created, version model_v1 registered');
    const models = await admin('listModels', {});
    expect(models.map(({ model }) => [model.name, model.champion])).toEqual([
      ['done', 'v2'],
      ['failed', 'v1'],
      ['prediction_model', 'model_v1'],
      ['rested', 'v1'],
    ]);
    const [rollout, ...others] = await admin('listRollouts', {});
    expect(others).toEqual([]);
    expect(rollout?.rollout).toMatchObject({ model: 'prediction_model', champion: 'model_v1', challenger: 'model_v2' });
    expect(rollout?.rollout.plan.steps.map(({ trafficPercent }) => trafficPercent)).toEqual([25, 50, 75, 100]);
    const [, failed] = await admin('listVersions', { params: { model: 'failed' } });
    expect(failed?.version).toMatchObject({ version: 'v2', health: { state: 'unhealthy' } });

    const again = await cli('import', 'redis-rollouts', redis.url, '--only', 'prediction_model');
    expect(again.stdout.trim()).toBe('prediction_model: nothing to do');
    expect(again.stderr).toContain('a rollout of this model is live here already');
    expect(await admin('listRollouts', {})).toHaveLength(1);
  }, 60_000);

  it('that are not there are said to be not there', async () => {
    const { cli } = await startServer();
    const { code, stderr } = await cli('import', 'redis-rollouts', redis.url);
    expect(code).not.toBe(0);
    expect(stderr).toContain('there is no hash');
  }, 60_000);

  it('are kept in step, also after somebody wrote to them and after Redis was down', async () => {
    const { admin } = await startServer({ mirrorRedis: redis.url.replace(/timeout-ms=\d+/, 'timeout-ms=500') });
    const reason = 'test';
    await admin('createModel', { body: { name: 'fraud' } });
    for (const version of ['v1', 'v2']) {
      await admin('registerVersion', { params: { model: 'fraud' }, body: { version, external: true, note: '' } });
    }
    await admin('promoteVersion', { params: { model: 'fraud', version: 'v1' }, body: { reason } });
    const alone = { champion: 'v1', challenger: '', percentage: '0', status: 'promoted' };
    await expect.poll(() => statusOf('fraud'), { timeout: 15_000 }).toEqual(alone);
    const plan = { name: 'p', steps: [{ traffic: 25 }, { traffic: 100 }] };
    const { rollout } = await admin('startRollout', { body: { model: 'fraud', challenger: 'v2', plan, reason } });
    const stepping = { champion: 'v1', challenger: 'v2', percentage: '25', status: 'active' };
    await expect.poll(() => statusOf('fraud'), { timeout: 15_000 }).toEqual(stepping);

    redis.cli('hset', 'rollout:fraud', 'percentage', '90', 'owner', 'ada');
    await expect.poll(() => statusOf('fraud'), { timeout: 15_000 }).toEqual({ ...stepping, owner: 'ada' });

    await redis.kill();
    // Nobody waits for the mirror: the control plane goes on.
    await admin('rollBackRollout', { params: { rollout: rollout.id }, body: { reason } });
    await redis.start();
    await expect
      .poll(() => statusOf('fraud'), { timeout: 30_000 })
      .toEqual({ champion: 'v1', challenger: 'v2', percentage: '0', status: 'rolled_back', owner: 'ada' });
  }, 90_000);
});
