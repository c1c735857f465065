// Checks against the real Prometheus, and a whole process that rolls back on one.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_CHECK } from '@understudy/core/checks/config';
import type { Answer } from '@understudy/core/checks/measurement';
import { openCheckAsker } from '@understudy/server/checks/check-asker';
import { allowedAddressOf } from '@understudy/server/runtimes/upstream-address';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../packages/server/src/free-port.contract.ts';
import { registerExample, type Running, startForTest, until } from './running-understudy.ts';

const hasPrometheus = canRun('prometheus');
if (!hasPrometheus) {
  process.stderr.write('prometheus is not installed: guards from elsewhere are NOT tested against a real one in this run\n');
}

function canRun(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasPrometheus)('a real Prometheus', () => {
  let url: string;
  let prometheus: ChildProcess;
  let directory: string;
  let running: Running;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'understudy-prometheus-'));
    const config = join(directory, 'prometheus.yml');
    writeFileSync(config, 'scrape_configs: []\n');
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const data = `--storage.tsdb.path=${join(directory, 'data')}`;
    const flags = [`--config.file=${config}`, data, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error'];
    prometheus = spawn('prometheus', flags, { stdio: 'ignore' });
    const isReady = async (): Promise<boolean> => (await fetch(`${url}/-/ready`).catch(() => undefined))?.status === 200;
    await until(isReady, (ready) => ready, 'Prometheus');
    running = await startForTest();
    await running.admin('createModel', { body: { name: 'digits' } });
    for (const version of ['v1', 'v2']) await registerExample(running.admin, 'digits', version);
    await running.admin('promoteVersion', { params: { model: 'digits', version: 'v1' }, body: { reason: 'first' } });
  });

  afterAll(async () => {
    await running.close();
    prometheus.kill('SIGKILL');
    await once(prometheus, 'exit');
    rmSync(directory, { recursive: true, force: true });
  });

  async function ask(query: string, baseline?: string): Promise<Answer> {
    const addresses = { problemOf: () => undefined, resolve: allowedAddressOf };
    const asker = openCheckAsker({ addresses, readVariable: () => undefined });
    const source = { kind: 'prometheus', url, query, failAbove: 1, ...(baseline === undefined ? {} : { baseline }) } as const;
    const subject = { model: 'digits', champion: 'v1', challenger: 'v2', rollout: 'digits-1', step: 1 };
    return asker.ask({ name: 'slo', ...DEFAULT_CHECK, source }, subject);
  }

  it.each([
    { query: 'vector(0.25)', answer: { outcome: 'value', value: 0.25 } },
    { query: 'scalar(vector(3))', answer: { outcome: 'value', value: 3 } },
    { query: '1e-7', answer: { outcome: 'value', value: 1e-7 } },
    { query: '1e30', answer: { outcome: 'value', value: 1e30 } },
    { query: '1 / 0', answer: { outcome: 'value', value: '+Inf' } },
    { query: '-1 / 0', answer: { outcome: 'value', value: '-Inf' } },
    { query: '0 / 0', answer: { outcome: 'no-data', reason: 'the query gives NaN, as 0 / 0 does' } },
    { query: 'nobody_counts_this', answer: { outcome: 'no-data', reason: 'the query matches no series' } },
  ])('answers $query', async ({ query, answer }) => {
    expect(await ask(query)).toEqual(answer);
  });

  it.each([
    { query: 'vector(1) or label_replace(vector(2), "a", "b", "", "")', reason: 'the query gives 2 series' },
    { query: 'vector(1)[5m:1m]', reason: 'a range of values' },
    { query: '"text"', reason: 'a text' },
    { query: 'sum(', reason: 'HTTP 400, bad_data: ' },
  ])('cannot answer $query', async ({ query, reason }) => {
    expect(await ask(query)).toEqual({ outcome: 'error', reason: expect.stringContaining(reason) });
  });

  it('fills in places, and a baseline', async () => {
    expect(await ask(onlyOf('{{challenger}}'), onlyOf('{{champion}}'))).toEqual({ outcome: 'value', value: 5, baseline: 0.1 });
  });

  it('rolls a challenger back in a process that asks it', async () => {
    const check = { name: 'slo', prometheus: { url, query: onlyOf('{{challenger}}') }, failAbove: 1, every: '1s', for: 2 };
    const steps = [{ traffic: 10, hold: '1h' }, { traffic: 100 }];
    const body = { model: 'digits', challenger: 'v2', plan: { name: 'watched', steps, checks: [check] } };
    const { rollout, warnings } = await running.admin('startRollout', { body });
    // The champion is within the limit, and there is data about it: nothing is wrong with the check.
    expect(warnings.filter((warning) => warning.includes('check'))).toEqual([]);
    const params = { rollout: rollout.id };
    const over = await until(
      async () => running.admin('getRollout', { params }),
      (view) => view.rollout.state.phase === 'rolled-back',
      'the rollback',
    );
    expect(over.lastDecision?.decision).toMatchObject({ action: 'roll-back', verdict: 'harmful' });
    expect(over.lastDecision?.decision.reason).toContain('the check slo: failed 2 times in a row (fails above 1); 5, ');
    expect(over.lastDecision?.decision.guards.at(-1)).toMatchObject({ guard: 'check slo', challenger: 5, limit: 1 });
    expect(await running.admin('replayRollout', { params, body: {} })).toMatchObject({ isFaithful: true });
  });
});

/** 5 where the version is v2, and 0.1 for every other one. */
function onlyOf(version: string): string {
  const asked = `label_replace(vector(5), "version", "${version}", "", "")`;
  return `sum(${asked} and on (version) label_replace(vector(1), "version", "v2", "", "")) or vector(0.1)`;
}
