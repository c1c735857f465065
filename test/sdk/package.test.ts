// The published package: built, packed, installed where there is nothing else, and run on every Node it promises.
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Flag } from '@understudy/core/flags/flag';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openServed, type Served } from './served.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SDK = join(ROOT, 'packages/sdk');
const USERS = Array.from({ length: 200 }, (_, index) => `user-${index}`);
const run = promisify(execFile);

let folder: string;
let served: Served;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-package-'));
  await run(process.execPath, [join(ROOT, 'scripts/build-sdk.ts')], { cwd: ROOT });
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { cwd: SDK });
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  await mkdir(join(folder, 'app'));
  await writeFile(join(folder, 'app/package.json'), '{ "name": "app", "private": true, "type": "module" }\n');
  const install = ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', join(folder, filename)];
  await run('npm', install, { cwd: join(folder, 'app') });
  await copyFile(new URL('consumer.mjs', import.meta.url), join(folder, 'app/consumer.mjs'));
  served = await openServed();
  await served.admin('saveFlag', { params: { flag: 'checkout' }, body: { flag: CHECKOUT, revision: 0, reason: 'test' } });
  for (const model of ['ship', 'fraud']) {
    await served.admin('createModel', { body: { name: model } });
    await served.admin('registerVersion', { params: { model }, body: { version: 'v1', external: true } });
    await served.admin('promoteVersion', { params: { model, version: 'v1' }, body: { reason: 'first' } });
  }
}, 120_000);
afterAll(async () => {
  await served?.close();
  await rm(folder, { recursive: true, force: true });
});

/** With a pattern that only RE2 and a regular expression of JavaScript read differently: a class of Unicode by its short name. */
const CHECKOUT: Flag = {
  key: 'checkout',
  type: 'string',
  on: true,
  offVariant: 'classic',
  variants: [
    { name: 'express', value: 'express' },
    { name: 'classic', value: 'classic' },
    { name: 'odd', value: 'odd' },
  ],
  prerequisites: [],
  pins: [{ variant: 'classic', keys: ['user-0'] }],
  rules: [
    {
      all: [{ type: 'attribute', attribute: 'mail', operator: 'matches', values: ['^\\pL+-1\\d*7@\\Qexample.com\\E$'] }],
      serve: { variant: 'odd' },
    },
  ],
  fallthrough: {
    split: {
      slices: [
        { variant: 'express', weight: 30_000 },
        { variant: 'classic', weight: 70_000 },
      ],
    },
  },
  bucketing: { profile: 'unleash', salt: 'checkout' },
};

async function serverSays(user: string): Promise<string> {
  const response = await fetch(`${served.url}/ofrep/v1/evaluate/flags/checkout`, {
    method: 'POST',
    headers: { authorization: `Bearer ${served.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ context: { targetingKey: user, mail: `${user}@example.com` } }),
  });
  const { value } = (await response.json()) as { value: string };
  return value;
}

/** The machine's own Node, when it is another one than ours. */
async function otherNode(): Promise<{ readonly path: string; readonly version: string } | undefined> {
  const own = dirname(process.execPath);
  const places = (process.env['PATH'] ?? '').split(delimiter).filter((place) => place !== own && !place.includes('node_modules'));
  const env = { PATH: [...places, '/usr/local/bin', '/usr/bin'].join(delimiter) };
  const found = await run('/usr/bin/env', ['node', '-p', 'process.execPath + " " + process.version'], { env }).catch(
    () => undefined,
  );
  const [path, version] = found?.stdout.trim().split(' ') ?? [];
  if (path === undefined || version === undefined || version === process.version) return undefined;
  return Number(/^v(\d+)/.exec(version)?.[1]) >= 20 ? { path, version } : undefined;
}

async function consume(node: string): Promise<Record<string, unknown>> {
  await rm(join(folder, 'app/kept'), { recursive: true, force: true });
  const input = {
    url: served.url,
    gatewayUrl: served.gatewayUrl,
    serverKey: await served.keyFor('flags'),
    clientKey: await served.keyFor('flags-client'),
    feedbackKey: await served.keyFor('feedback'),
    users: USERS,
  };
  const { stdout } = await run(node, ['consumer.mjs', JSON.stringify(input)], { cwd: join(folder, 'app'), timeout: 60_000 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function expectEverything(answers: Record<string, unknown>): Promise<void> {
  const expected: string[] = [];
  for (const user of USERS) expected.push(await serverSays(user));
  expect(answers).toMatchObject({
    state: 'live',
    values: expected,
    version: 'v1',
    sent: { sent: 1, waiting: 0, dropped: 0 },
    resolved: { value: 'classic', variant: 'classic', reason: 'TARGETING_MATCH' },
    remotely: 'classic',
    cold: { state: 'stale', source: 'disk', isSame: true },
    refused: 'auth.missing_token',
    problems: [],
  });
  expect(new Set(expected)).toEqual(new Set(['express', 'classic', 'odd']));
}

/** Every file that an entry leads to. */
async function filesOf(entry: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const files = new Map<string, readonly string[]>();
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (files.has(path)) continue;
    // Comments of what is inlined talk of imports too.
    const text = (await readFile(path, 'utf8')).replaceAll(/^\s*(?:\/?\*|\/\/).*$/gm, '');
    const found = text.matchAll(/^(?:import|export)\b[^;'"]*["']([^"']+)["'];?$|\bimport\(\s*["']([^"']+)["']/gm);
    const imports = [...found].map(([, named, dynamic]) => named ?? dynamic ?? '');
    files.set(path, imports);
    for (const target of imports) if (target.startsWith('.')) waiting.push(join(dirname(path), target));
  }
  return files;
}

describe('the installed package', () => {
  it('does on our Node what the server does', async () => {
    const answers = await consume(process.execPath);
    expect(answers['node']).toBe(process.version);
    await expectEverything(answers);
  }, 90_000);

  it('does the same on the older Node of this machine', async ({ skip }) => {
    const other = await otherNode();
    if (other === undefined) {
      console.warn('SKIPPED: no other Node ≥ 20 on this machine, so nothing shows that the package runs on one');
      skip('no other Node');
      return;
    }
    const answers = await consume(other.path);
    expect(answers['node']).toBe(other.version);
    await expectEverything(answers);
  }, 90_000);

  it('has no dependencies, and carries the licences of what is in it', async () => {
    const installed = join(folder, 'app/node_modules');
    expect(await readdir(installed)).toEqual(['.package-lock.json', '@understudy']);
    expect(await readdir(join(installed, '@understudy'))).toEqual(['sdk']);
    const manifest = JSON.parse(await readFile(join(installed, '@understudy/sdk/package.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    expect(manifest['dependencies'] ?? {}).toEqual({});
    expect(await readFile(join(installed, '@understudy/sdk/dist/THIRD-PARTY.txt'), 'utf8')).toMatch(/re2js[\s\S]*MIT/);
  });

  it('has types that a strict compiler accepts', async () => {
    const app = join(folder, 'app');
    await writeFile(
      join(app, 'consumer.ts'),
      `import { fileStorage, openFlags, reportOutcomes, type Flags } from '@understudy/sdk';
       import { browserStorage, openRemoteFlags } from '@understudy/sdk/browser';
       import { UnderstudyProvider, UnderstudyWebProvider } from '@understudy/sdk/openfeature';
       const outcomes = reportOutcomes({ url: '', key: '', reporter: 'r' });
       const flags: Flags = openFlags({ url: '', key: '', storage: fileStorage('x'), outcomes });
       export const on: boolean = flags.boolean('a', { key: 'ana', address: { city: 'Rome' } }, false);
       // @ts-expect-error -- a default of another type
       export const wrong: boolean = flags.boolean('a', 'ana', 'yes');
       export const remote = openRemoteFlags({ url: '', key: '', context: { key: 'ana' }, storage: browserStorage() });
       export const providers = [new UnderstudyProvider(flags), new UnderstudyWebProvider(remote)];
       flags.version('fraud', 'ana', 'v1').report({ latencyMs: 1, failed: 'timeout', scores: { a: 1 } });
      `,
    );
    const options = { strict: true, module: 'nodenext', target: 'es2022', lib: ['es2022', 'dom'], types: [], noEmit: true };
    const compilerOptions = { ...options, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false };
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
    const { stdout } = await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', app]).catch(
      (error: unknown) => error as { stdout: string },
    );
    expect(stdout).toBe('');
  }, 60_000);

  it('has the sizes that its README names', async () => {
    const readme = await readFile(join(SDK, 'README.md'), 'utf8');
    for (const [entry, file] of [
      ['', 'index'],
      ['/browser', 'browser'],
      ['/openfeature', 'openfeature'],
    ] as const) {
      const [, size, compressed] = new RegExp(`sdk${entry}\` .*\\| (\\d+) KiB +\\| (\\d+) KiB`).exec(readme) ?? [];
      const files = [...(await filesOf(join(SDK, `dist/${file}.js`))).keys()];
      const contents = await Promise.all(files.map((path) => readFile(path)));
      const sizeOf = (parts: readonly Buffer[]): number => parts.reduce((sum, { length }) => sum + length, 0) / 1024;
      expect(Math.abs(sizeOf(contents) - Number(size))).toBeLessThan(1.5 + Number(size) * 0.05);
      expect(Math.abs(sizeOf(contents.map((content) => gzipSync(content))) - Number(compressed))).toBeLessThan(
        1.5 + Number(compressed) * 0.05,
      );
    }
  });

  it('does what docs/sdk.md shows, block by block', async () => {
    const place = join(folder, 'docs');
    await mkdir(join(place, 'node_modules/@understudy'), { recursive: true });
    await symlink(join(folder, 'app/node_modules/@understudy/sdk'), join(place, 'node_modules/@understudy/sdk'));
    await symlink(join(ROOT, 'node_modules/@openfeature'), join(place, 'node_modules/@openfeature'));
    const page = await readFile(join(ROOT, 'docs/sdk.md'), 'utf8');
    const blocks = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map(([, text]) => text ?? '');
    expect(blocks.length).toBeGreaterThanOrEqual(6);
    const told =
      'console.log(JSON.stringify({ checkout, isPro, state, source, ageMs, decided: decision.version, version, banner, sent: outcomes.status() }));';
    const model = 'const predictWith = async (version) => version.length;';
    await writeFile(join(place, 'page.mjs'), [model, ...blocks, told].join('\n'));
    const env = {
      UNDERSTUDY_URL: served.url,
      UNDERSTUDY_KEY: await served.keyFor('flags'),
      UNDERSTUDY_FEEDBACK_KEY: await served.keyFor('feedback'),
      UNDERSTUDY_CLIENT_KEY: await served.keyFor('flags-client'),
    };
    const { stdout } = await run(process.execPath, ['page.mjs'], { cwd: place, env, timeout: 60_000 });
    const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as unknown;
    expect(last).toMatchObject({
      checkout: await serverSays('user-42'),
      isPro: false,
      state: 'live',
      decided: 'v1',
      version: 'v1',
      banner: 'none',
      sent: { waiting: 0, dropped: 0, sent: 4 },
    });
  }, 90_000);

  it('is what publint expects of a package', async () => {
    const { stdout } = await run(process.execPath, [join(ROOT, 'node_modules/publint/src/cli.js'), SDK, '--strict']);
    expect(stdout).toContain('All good');
  }, 60_000);
});

describe('the entry for browsers', () => {
  it('imports nothing but its own files, which name nothing of Node', async () => {
    const files = await filesOf(join(SDK, 'dist/browser.js'));
    expect([...files.values()].flat().filter((target) => !target.startsWith('./'))).toEqual([]);
    for (const path of files.keys()) {
      const text = await readFile(path, 'utf8');
      expect(text).not.toMatch(/\bnode:|\bprocess\.|\bBuffer\b|\brequire\(/);
      // The documents are not evaluated here, so that the regex library has no business here either.
      expect(text).not.toContain('RE2');
    }
  });

  it('is seen to import what it imports: the entry for servers does of Node', async () => {
    const files = await filesOf(join(SDK, 'dist/index.js'));
    expect(
      [...files.values()]
        .flat()
        .filter((target) => !target.startsWith('./'))
        .toSorted(),
    ).toEqual(['node:crypto', 'node:fs/promises', 'node:path']);
  });

  it('runs in a place that has nothing of Node but what browsers have too', async () => {
    const script = `
      import vm from 'node:vm';
      import { readFileSync } from 'node:fs';
      import { dirname, join } from 'node:path';
      const context = vm.createContext({ fetch, setTimeout, clearTimeout, AbortController, TextDecoder, URL, Headers, Response });
      const modules = new Map();
      const load = (path) => {
        if (!modules.has(path)) modules.set(path, new vm.SourceTextModule(readFileSync(path, 'utf8'), { context, identifier: path }));
        return modules.get(path);
      };
      const entry = load(process.argv[1]);
      await entry.link((target, from) => load(join(dirname(from.identifier), target)));
      await entry.evaluate();
      const { openRemoteFlags } = entry.namespace;
      const { url, key } = JSON.parse(process.argv[2]);
      const flags = openRemoteFlags({ url, key, context: 'user-0' });
      const { state } = await flags.ready;
      process.stdout.write(JSON.stringify([state, flags.string('checkout', 'none')]));
      await flags.close();`;
    const input = JSON.stringify({ url: served.url, key: await served.keyFor('flags-client') });
    const args = ['--experimental-vm-modules', '--input-type=module', '-e', script, join(SDK, 'dist/browser.js'), input];
    const { stdout } = await run(process.execPath, args);
    expect(JSON.parse(stdout)).toEqual(['live', 'classic']);
  }, 60_000);
});
