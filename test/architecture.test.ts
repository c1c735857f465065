// Proves that the linter still bites: plants one violation per rule in a scratch tree laid out like the repository.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const oxlint = path.join(root, 'node_modules/oxlint/bin/oxlint');

interface Diagnostic {
  readonly code: string;
  readonly filename: string;
}

interface Planted {
  readonly name: string;
  readonly dir: string;
  readonly source: string;
  readonly rule: string;
  /** Defaults to a name made from the row's number. */
  readonly file?: string;
}

const server = 'packages/server/src';
const restricted = 'eslint(no-restricted-imports)';

/** Each way to write an import, so that no form becomes a hole in the rule. */
function everyForm(dir: string, specifier: string): Planted[] {
  const forms = {
    static: `import { x } from '${specifier}';\nexport const y = x;`,
    'type-only': `import type { X } from '${specifier}';\nexport type Y = X;`,
    're-exported': `export { x } from '${specifier}';`,
    'star re-exported': `export * from '${specifier}';`,
    dynamic: `export const load = () => import('${specifier}');`,
    'side-effect': `import '${specifier}';`,
  };
  return Object.entries(forms).map(([form, source]) => ({
    name: `${dir} → ${specifier} (${form})`,
    dir,
    source,
    rule: restricted,
  }));
}

function oneForm(dir: string, specifiers: readonly string[]): Planted[] {
  return specifiers.map((specifier) => ({
    name: `${dir} → ${specifier}`,
    dir,
    source: `import { x } from '${specifier}';\nexport const y = x;`,
    rule: restricted,
  }));
}

function pairs(folders: readonly string[]): Planted[] {
  return folders.flatMap((from) =>
    folders.filter((to) => to !== from).flatMap((to) => everyForm(`${server}/${from}`, `../${to}/planted.ts`)),
  );
}

const SIBLINGS = ['control', 'engine', 'checks', 'gateway', 'hooks', 'protocols'];

const importViolations: Planted[] = [
  ...oneForm('packages/core/src', [
    'zod',
    'node:fs',
    '@understudy/contract/flags',
    '../elsewhere.ts',
    './../elsewhere.ts',
    '../../server/src/main.ts',
  ]),
  ...everyForm('packages/core/src', 'zod'),
  ...oneForm('packages/core/src/deep', [
    'zod',
    'node:fs',
    '@understudy/contract/flags',
    '../../elsewhere.ts',
    './../../elsewhere.ts',
  ]),
  ...oneForm('packages/contract/src', [
    '@understudy/server/main',
    '@understudy/sdk/client',
    'node:fs',
    'undici',
    '../../core/src/flag.ts',
  ]),
  ...oneForm('packages/sdk/src', [
    '@understudy/contract/flags',
    '@understudy/server/main',
    'zod',
    'node:http',
    'node:fs/promises',
    're2js',
    '../../core/src/flag.ts',
  ]),
  ...oneForm('packages/feed/src', ['@understudy/core/flag', 'zod', 'node:http', 'node:fs/promises', '../../core/src/flag.ts']),
  ...pairs(SIBLINGS),
  ...['storage', 'commands', 'cli'].flatMap((to) => everyForm(`${server}/gateway`, `../${to}/planted.ts`)),
  ...['control', 'engine', 'protocols', 'commands'].flatMap((from) =>
    oneForm(`${server}/${from}`, ['../cli/output.ts', '../runtimes/onnx.ts', '../compose.ts', '../main.ts', '../serve.ts']),
  ),
  ...oneForm(`${server}/commands`, ['../control/app.ts', '../engine/tick.ts', '../gateway/app.ts', '../protocols/ofrep.ts']),
  ...oneForm(`${server}/storage`, ['../control/app.ts', '../commands/start.ts', '../engine/tick.ts', '../runtimes/onnx.ts']),
  ...oneForm(`${server}/runtimes`, ['../gateway/app.ts', '../storage/store.ts', '../commands/start.ts', '../control/app.ts']),
  ...oneForm(`${server}/cli`, ['../storage/store.ts', '../control/app.ts', '../config.ts', '../compose.ts']),
  ...oneForm(`${server}/protocols`, ['../storage/store.ts']),
  ...oneForm(`${server}/remote`, ['../storage/store.ts', '../gateway/ports.ts', '../control/app.ts', '@understudy/sdk/client']),
  ...oneForm(`${server}/followers`, [
    '../control/app.ts',
    '../engine/tick.ts',
    '../gateway/app.ts',
    '../import-command.ts',
    'ioredis',
  ]),
  ...oneForm(`${server}/gateway/deep`, [
    '../../storage/store.ts',
    '../../../../core/src/flag.ts',
    '@understudy/server/storage/store',
    'kysely',
  ]),
  ...oneForm(`${server}/control`, ['better-sqlite3', '@understudy/sdk/client', 'node:process']),
  ...oneForm(server, ['./storage/store.ts', './compose.ts']),
];

const STATE = `type State = { readonly phase: 'a' } | { readonly phase: 'b' };`;

const codeViolations: Planted[] = [
  ...[
    'Date.now()',
    'new Date()',
    'process.pid',
    'globalThis.name',
    'setTimeout(() => {}, 1)',
    'performance.now()',
    "fetch('x')",
  ].map((code) => ({
    name: `core uses ${code}`,
    dir: 'packages/core/src',
    source: `export const y = ${code};`,
    rule: 'eslint(no-restricted-globals)',
  })),
  {
    name: 'core uses Math.random',
    dir: 'packages/core/src',
    source: 'export const y = Math.random();',
    rule: 'eslint(no-restricted-properties)',
  },
  {
    name: 'process.env outside config.ts',
    dir: `${server}/control`,
    source: `export const y = process.env['HOME'];`,
    rule: 'eslint(no-restricted-properties)',
  },
  {
    name: 'process.env taken apart',
    dir: server,
    source: 'export const { env } = process;',
    rule: 'eslint(no-restricted-properties)',
  },
  {
    name: 'an import type in an annotation',
    dir: `${server}/gateway`,
    source: `export type Y = import('../storage/store.ts').Store;`,
    rule: 'typescript(consistent-type-imports)',
  },
  { name: 'require', dir: server, source: `export const y = require('node:fs');`, rule: 'typescript(no-require-imports)' },
  {
    name: 'a cycle',
    dir: server,
    file: 'ring.ts',
    source: `import { b } from './ring-b.ts';\nexport const a = (): unknown => b;`,
    rule: 'import(no-cycle)',
  },
  {
    name: 'the other half of a cycle',
    dir: server,
    file: 'ring-b.ts',
    source: `import { a } from './ring.ts';\nexport const b = (): unknown => a;`,
    rule: 'import(no-cycle)',
  },
  { name: 'a default export', dir: server, source: 'export default 1;', rule: 'import(no-default-export)' },
  { name: 'any', dir: server, source: 'export const y = (x: any): unknown => x;', rule: 'typescript(no-explicit-any)' },
  {
    name: 'a non-null assertion',
    dir: server,
    source: 'export const y = (x: string | undefined): string => x!;',
    rule: 'typescript(no-non-null-assertion)',
  },
  {
    name: 'a switch that forgets a phase',
    dir: server,
    source: `${STATE}\nexport function y(s: State): number {\n  switch (s.phase) {\n    case 'a':\n      return 1;\n  }\n  return 0;\n}`,
    rule: 'typescript(switch-exhaustiveness-check)',
  },
  {
    name: 'a floating promise',
    dir: server,
    source: 'export function y(): void {\n  Promise.resolve(1);\n}',
    rule: 'typescript(no-floating-promises)',
  },
  {
    name: 'a promise as a condition',
    dir: server,
    source: 'export function y(p: Promise<boolean>): number {\n  return p ? 1 : 2;\n}',
    rule: 'typescript(no-misused-promises)',
  },
  {
    name: 'outside data by assertion',
    dir: server,
    source: `export const y = JSON.parse('{}') as { readonly x: number };`,
    rule: 'typescript(no-unsafe-type-assertion)',
  },
  {
    name: 'a file of 401 lines',
    dir: server,
    source: Array.from({ length: 401 }, (_, i) => `export const a${i} = ${i};`).join('\n'),
    rule: 'eslint(max-lines)',
  },
  {
    name: 'a function of 61 lines',
    dir: server,
    source: `export function y(): number {\n  let n = 0;\n${'  n += 1;\n'.repeat(58)}  return n;\n}`,
    rule: 'eslint(max-lines-per-function)',
  },
  {
    name: 'four parameters',
    dir: server,
    source: 'export const y = (a: number, b: number, c: number, d: number): number => a + b + c + d;',
    rule: 'eslint(max-params)',
  },
  {
    name: 'a file name that is not kebab-case',
    dir: server,
    file: 'NotKebab.ts',
    source: 'export const y = 1;',
    rule: 'unicorn(filename-case)',
  },
];

const allowed: Omit<Planted, 'rule'>[] = [
  ...oneForm('packages/core/src', ['./flag.ts', './deep/flag.ts']),
  ...oneForm('packages/core/src/deep', ['./flag.ts', '../flag.ts', '../other/flag.ts']),
  ...oneForm('packages/contract/src', ['./flags.ts', 'zod', '@understudy/core/flag']),
  ...oneForm('packages/sdk/src', ['./client.ts', '@understudy/core/flag', '@understudy/feed/upkeep']),
  ...oneForm('packages/feed/src', ['./upkeep.ts']),
  {
    name: 'the storage of feed writes files',
    dir: 'packages/feed/src',
    file: 'file-storage.ts',
    source: `import { x } from 'node:fs/promises';\nexport const y = x;`,
  },
  {
    name: 'the regex of the sdk imports the library that is inlined',
    dir: 'packages/sdk/src',
    file: 'linear-regex.ts',
    source: `import { x } from 're2js';\nexport const y = x;`,
  },
  ...oneForm(`${server}/control`, [
    '../commands/start.ts',
    '../storage/store.ts',
    '../log.ts',
    './app.ts',
    'fastify',
    '@understudy/contract/flags',
  ]),
  ...oneForm(`${server}/engine`, ['../commands/start.ts', '../storage/store.ts', '../clock.ts', '@understudy/core/rollout']),
  ...oneForm(`${server}/commands`, ['../storage/store.ts', '@understudy/core/rollout']),
  ...oneForm(`${server}/gateway`, [
    '../runtimes/onnx.ts',
    'undici',
    'node:http',
    '@understudy/contract/snapshot',
    '@understudy/feed/upkeep',
    './deep/planted.ts',
  ]),
  ...oneForm(`${server}/gateway/deep`, ['../app.ts']),
  ...oneForm(`${server}/storage`, ['kysely', 'better-sqlite3', '@understudy/contract/snapshot']),
  ...oneForm(`${server}/cli`, ['./output.ts', 'commander', '@understudy/contract/client', '@understudy/core/rollout']),
  {
    name: 'compose imports every folder',
    dir: server,
    file: 'compose.ts',
    source: [...SIBLINGS, 'commands', 'runtimes', 'storage']
      .map((f, i) => `export { x as x${i} } from './${f}/planted.ts';`)
      .join('\n'),
  },
  {
    name: 'main imports the command line',
    dir: server,
    file: 'main.ts',
    source: `export { x } from './cli/planted.ts';\nexport { y } from './serve.ts';`,
  },
  { name: 'config reads the environment', dir: server, file: 'config.ts', source: `export const y = process.env['HOME'];` },
  {
    name: 'a test wires a real backend',
    dir: `${server}/engine`,
    file: 'tick.test.ts',
    source: `import { x } from '../storage/sqlite.ts';\nexport const y = x;`,
  },
];

async function lint(files: readonly string[], cwd: string): Promise<Diagnostic[]> {
  const run = promisify(execFile)(process.execPath, [oxlint, '--format', 'json', ...files], { cwd, maxBuffer: 64 * 1024 * 1024 });
  // Exit code 1 means that something was found; the report is then on the error.
  const { stdout } = await run.catch((error: unknown) => error as { stdout: string });
  return (JSON.parse(stdout) as { diagnostics: Diagnostic[] }).diagnostics;
}

describe('the linter', () => {
  let scratch = '';
  const found = new Map<string, string[]>();
  const fileOf = ({ dir, file }: { dir: string; file?: string }, index: number, kind: string) =>
    `${dir}/${file ?? `${kind}-${index}.ts`}`;
  const violations = [...importViolations, ...codeViolations].map((planted, index) => ({
    ...planted,
    path: fileOf(planted, index, 'bad'),
  }));
  const fine = allowed.map((planted, index) => ({ ...planted, path: fileOf(planted, index, 'good') }));

  beforeAll(async () => {
    await mkdir(path.join(root, '.cache'), { recursive: true });
    scratch = await mkdtemp(path.join(root, '.cache', 'architecture-'));
    await writeFile(path.join(scratch, 'oxlint.config.ts'), `export { default } from '../../oxlint.config.ts';\n`);
    const tsconfig = { extends: '../../tsconfig.base.json', compilerOptions: { types: ['node'] }, include: ['packages'] };
    await writeFile(path.join(scratch, 'tsconfig.json'), JSON.stringify(tsconfig));
    for (const { path: file, source } of [...violations, ...fine]) {
      await mkdir(path.dirname(path.join(scratch, file)), { recursive: true });
      await writeFile(path.join(scratch, file), `${source}\n`);
    }
    // Files are named one by one: the linter would skip a folder that git ignores.
    const files = [...violations, ...fine].map(({ path: file }) => file);
    for (const { filename, code } of await lint(files, scratch)) found.set(filename, [...(found.get(filename) ?? []), code]);
  });

  afterAll(() => rm(scratch, { recursive: true, force: true }));

  it('has planted its violations in different files', () => {
    const files = [...violations, ...fine].map(({ path: file }) => file);
    expect(new Set(files).size).toBe(files.length);
  });

  it.each(violations)('reports $name', ({ path: file, rule }) => {
    expect(found.get(file) ?? []).toContain(rule);
  });

  it.each(fine)('accepts $name', ({ path: file }) => {
    expect(found.get(file) ?? []).toEqual([]);
  });

  it('finds nothing in the repository', async () => {
    const diagnostics = await lint([], root);
    expect(diagnostics.map(({ filename, code }) => `${filename} ${code}`)).toEqual([]);
    // The whole tree with types: seconds, and many of them on a busy machine.
  }, 90_000);
});
