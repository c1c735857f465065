// HAProxy's configuration, taken by the real HAProxy, in front of control planes and gateways as processes of their own.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@understudy/contract/client';
import type { Flag } from '@understudy/core/flags/flag';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../packages/server/src/free-port.contract.ts';
import { isSkipped, startPostgres, type TestServer } from '../../packages/server/src/storage/postgres-server.contract.ts';
import { rowsOf, send, until } from '../running-understudy.ts';
import { type Deployment, firstPrediction } from './first-prediction.ts';
import { ROOT } from './image-recipe.ts';
import type { ServingProgram } from '../serving-program.ts';
import { firstTokenIn, startDeployed } from './serving-process.ts';

const CONFIGURATION = join(ROOT, 'deploy/haproxy.cfg');
// Debian keeps it where only root looks for programs.
const HAPROXY = existsSync('/usr/sbin/haproxy') ? '/usr/sbin/haproxy' : 'haproxy';

describe('deploy/haproxy.cfg', () => {
  it('is valid, and names the servers of the compose file', () => {
    const { status, stderr, error } = spawnSync(HAPROXY, ['-c', '-f', CONFIGURATION], { encoding: 'utf8' });
    if (error !== undefined) throw error;
    const warnings = stderr
      .split('\n')
      .filter((line) => line.includes('[WARNING]') && !line.includes('could not resolve address'));
    expect({ status, warnings }).toEqual({ status: 0, warnings: [] });
    const servers = [...readFileSync(CONFIGURATION, 'utf8').matchAll(/^ +server (\S+) (\S+):(\d+)$/gm)];
    expect(servers.map(([, name, host, port]) => `${name} ${host}:${port}`)).toEqual([
      ...[1, 2, 3].map((n) => `gateway-${n} gateway-${n}:7071`),
      ...[1, 2].map((n) => `control-${n} control-${n}:7070`),
    ]);
  });

  it('shows no page of statistics', () => {
    expect(readFileSync(CONFIGURATION, 'utf8')).not.toMatch(/^ *stats /m);
  });
});

// Two control planes and two gateways run; the third gateway is dead from the beginning.
describe.skipIf(isSkipped)('HAProxy in front of control planes and gateways', () => {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-haproxy-'));
  const controls: ServingProgram[] = [];
  const gateways: ServingProgram[] = [];
  let postgres: TestServer;
  let haproxy: ChildProcess;
  let at: Deployment;
  // What HAProxy said, but for what went well.
  let said = '';

  beforeEach(({ onTestFailed }) => {
    onTestFailed(() => console.error(`HAProxy said: ${said}`));
  });

  beforeAll(async () => {
    postgres = await startPostgres();
    const shared = { STORE: postgres.newAddress('&listen=on'), DATA: folderOf('models') };
    for (const n of [1, 2]) {
      const settings = { ...shared, ROLE: 'control', OPEN_METRICS: 'true' };
      controls.push(await startDeployed({ cwd: folderOf(`control-${n}`), settings }));
    }
    const token = firstTokenIn(controls[0]?.greeting ?? '');
    const direct = createClient({ url: controls[0]?.controlUrl ?? '', token });
    const { secret } = await direct('createToken', { body: { name: 'gateway', scopes: ['gateway'] } });
    writeFileSync(join(folder, 'gateway-token'), `${secret}\n`);
    for (const n of [1, 2]) {
      const settings = {
        ROLE: 'gateway',
        CONTROL_URL: controls.map(({ controlUrl }) => controlUrl).join(','),
        CONTROL_TOKEN_FILE: join(folder, 'gateway-token'),
        GATEWAY_NAME: `gateway-${n}`,
        DATA: folderOf(`gateway-${n}`),
        OPEN_METRICS: 'true',
      };
      gateways.push(await startDeployed({ cwd: folderOf(`gateway-${n}`), settings }));
    }
    const [predictions, control] = [await freePort(), await freePort()];
    writeFileSync(join(folder, 'haproxy.cfg'), await configurationFor(predictions, control));
    const balancer = spawn(HAPROXY, ['-f', join(folder, 'haproxy.cfg')], { stdio: ['ignore', 'pipe', 'pipe'] });
    haproxy = balancer;
    for (const output of [balancer.stdout, balancer.stderr]) {
      output.setEncoding('utf8').on('data', (text: string) => {
        const refused = text.split('\n').filter((line) => !/ 200 \d+ - - ----/.test(line));
        said = (said + refused.join('\n')).slice(-8192);
      });
    }
    process.once('exit', () => balancer.kill('SIGKILL'));
    at = { controlUrl: `http://127.0.0.1:${control}`, gatewayUrl: `http://127.0.0.1:${predictions}`, token };
    await until(() => isReady(at.controlUrl), Boolean, 'HAProxy to find a control plane');
    await until(() => isReady(at.gatewayUrl), Boolean, 'HAProxy to find a gateway');
  }, 90_000);

  afterAll(async () => {
    for (const program of [...gateways, ...controls]) await program.kill();
    haproxy.kill('SIGKILL');
    await postgres.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function folderOf(name: string): string {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** The very file, with other addresses. */
  async function configurationFor(predictions: number, control: number): Promise<string> {
    const addresses = new Map([
      ['bind :7071', `bind 127.0.0.1:${predictions}`],
      ['bind :7070', `bind 127.0.0.1:${control}`],
      ['gateway-3:7071', `127.0.0.1:${await freePort()}`],
    ]);
    for (const [index, { gatewayUrl }] of gateways.entries()) {
      addresses.set(`gateway-${index + 1}:7071`, new URL(gatewayUrl).host);
    }
    for (const [index, { controlUrl }] of controls.entries()) {
      addresses.set(`control-${index + 1}:7070`, new URL(controlUrl).host);
    }
    return [...addresses].reduce(
      (text, [from, to]) => {
        expect(text.split(from), from).toHaveLength(2);
        return text.replace(from, to);
      },
      readFileSync(CONFIGURATION, 'utf8'),
    );
  }

  it('spreads predictions over the gateways that are there', { timeout: 60_000 }, async () => {
    // Straight at the gateways: each hears of its first model in its own time, and one that was ready without models stays so.
    const urls = gateways.map(({ gatewayUrl }) => gatewayUrl);
    expect(await firstPrediction({ ...at, gatewayUrl: urls[0] ?? '' })).toMatchObject({ status: 200, version: 'v1' });
    const [features] = await rowsOf('digits');
    for (const gatewayUrl of urls) {
      const ask = () => send({ ...at, gatewayUrl }, '/predict/digits', { body: { features } });
      await until(ask, ({ status }) => status === 200, `${gatewayUrl} to predict`);
    }
    const before = await Promise.all(gateways.map(answeredBy));
    const traffic = await startRequests(at);
    const taken = async () => (await Promise.all(gateways.map(answeredBy))).map((count, index) => count - (before[index] ?? 0));
    await until(taken, (counts) => counts.every((count) => count >= 200), 'both gateways to take 200 predictions');
    expect(await traffic.stop()).toEqual({ 200: traffic.count() });
  });

  it(
    'carries event streams through, event by event, and lets those go on that it need not end',
    { timeout: 60_000 },
    async () => {
      const admin = createClient({ url: at.controlUrl, token: at.token });
      // The one that has fewer gets the next: one on each control plane.
      const streams = [await openStream(at), await openStream(at)];
      for (const stream of streams)
        await until(
          async () => stream.text(),
          (text) => text.includes('event:'),
          'the first event',
        );
      const saveFlag = async (key: string) =>
        await admin('saveFlag', { params: { flag: key }, body: { flag: flagOf(key), revision: 0, reason: 'news' } });
      await saveFlag('first');
      for (const stream of streams)
        await until(
          async () => stream.text(),
          (text) => text.includes('"first"'),
          'news of a flag',
        );
      const [leaving] = controls.splice(1, 1);
      expect(await leaving?.stop()).toBe(0);
      await until(
        async () => streams.filter((stream) => stream.isOpen()).length,
        (count) => count === 1,
        'one stream to end',
      );
      await saveFlag('second');
      const [left] = streams.filter((stream) => stream.isOpen());
      await until(
        async () => left?.text() ?? '',
        (text) => text.includes('"second"'),
        'news on the other stream',
      );
      for (const stream of streams) stream.close();
    },
  );

  it('loses no prediction when a gateway is stopped under load', { timeout: 60_000 }, async () => {
    const traffic = await startRequests(at);
    await until(
      async () => traffic.count(),
      (count) => count >= 500,
      '500 answers',
    );
    const [leaving] = gateways.splice(0, 1);
    expect(await leaving?.stop()).toBe(0);
    const gone = traffic.count();
    await until(
      async () => traffic.count(),
      (count) => count >= Math.max(gone + 500, 3000),
      'answers without it',
    );
    const statuses = await traffic.stop();
    expect(statuses).toEqual({ 200: traffic.count() });
    expect(traffic.count()).toBeGreaterThanOrEqual(3000);
  });
});

function flagOf(key: string): Flag {
  return {
    key,
    type: 'boolean',
    on: true,
    variants: [{ name: 'on', value: true }],
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: { variant: 'on' },
    bucketing: { profile: 'unleash', salt: key, by: [] },
  };
}

async function isReady(url: string): Promise<boolean> {
  return await fetch(`${url}/readyz`).then(
    ({ status }) => status === 200,
    () => false,
  );
}

/** How many predictions a gateway has answered, from its own metrics. */
async function answeredBy({ gatewayUrl }: ServingProgram): Promise<number> {
  const page = await (await fetch(`${gatewayUrl}/metrics`)).text();
  const counts = [...page.matchAll(/^understudy_requests_total\{[^}]*outcome="ok"[^}]*\} (\d+)$/gm)].map(([, count]) =>
    Number(count),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

interface Traffic {
  count(): number;
  /** @returns how often each status, or failure, was met */
  stop(): Promise<Record<string, number>>;
}

/** Eight clients that ask one thing after another, each over connections that stay open. */
async function startRequests(at: Deployment): Promise<Traffic> {
  const rows = await rowsOf('digits');
  const statuses: Record<string, number> = {};
  let count = 0;
  let isStopped = false;
  const client = async (name: number): Promise<void> => {
    for (let index = 0; !isStopped; index += 1) {
      const features = rows[index % rows.length];
      const status = await send(at, '/predict/digits', { body: { features }, headers: { 'x-user-id': `${name}-${index}` } }).then(
        (answer) => `${answer.status}`,
        (error: unknown) => String(error),
      );
      statuses[status] = (statuses[status] ?? 0) + 1;
      count += 1;
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, (_, name) => client(name)));
  return {
    count: () => count,
    async stop() {
      isStopped = true;
      await clients;
      return statuses;
    },
  };
}

interface OpenStream {
  text(): string;
  isOpen(): boolean;
  close(): void;
}

async function openStream({ controlUrl, token }: Deployment): Promise<OpenStream> {
  const controller = new AbortController();
  const response = await fetch(`${controlUrl}/flags/v1/stream`, {
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
    signal: controller.signal,
  });
  expect(response.status).toBe(200);
  let text = '';
  let isOpen = true;
  const reading = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk as Uint8Array, { stream: true });
  };
  void reading()
    .catch(() => undefined)
    .finally(() => {
      isOpen = false;
    });
  return { text: () => text, isOpen: () => isOpen, close: () => controller.abort() };
}
