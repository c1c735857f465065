/** Builds what is published of the SDK: one file of JavaScript for each entry, with core and the regex library in it, and types. */
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'rolldown';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SDK = join(ROOT, 'packages/sdk');
const DIST = join(SDK, 'dist');
const ENTRIES = { index: 'node-entry', browser: 'browser-entry', openfeature: 'openfeature-entry' };

rmSync(DIST, { recursive: true, force: true });
await build({
  input: Object.fromEntries(Object.entries(ENTRIES).map(([name, file]) => [name, join(SDK, `src/${file}.ts`)])),
  platform: 'neutral',
  external: /^node:/,
  // Readable to whoever looks into what they have installed; comments are in the types.
  output: {
    dir: DIST,
    format: 'esm',
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: false } },
    chunkFileNames: '[name].js',
  },
  resolve: { mainFields: ['module', 'main'] },
});
emitTypes();
cpSync(join(ROOT, 'LICENSE'), join(SDK, 'dist/LICENSE'));
writeNotice();
for (const name of readdirSync(DIST).filter((file) => file.endsWith('.js'))) {
  const bytes = readFileSync(join(DIST, name));
  const kib = (count: number): string => `${(count / 1024).toFixed(1)} KiB`;
  console.log(`${name}: ${kib(bytes.length)}, ${kib(gzipSync(bytes, { level: 9 }).length)} compressed`);
}

/** Declarations of every file that a published one leads to, by relative paths: consumers do not have core. */
function emitTypes(): void {
  const types = join(DIST, 'types');
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const flags =
    '--ignoreConfig --declaration --emitDeclarationOnly --strict --exactOptionalPropertyTypes --skipLibCheck ' +
    '--rewriteRelativeImportExtensions --target es2024 --lib es2024,dom,dom.iterable,dom.asynciterable --module nodenext --types node';
  const files = [...Object.values(ENTRIES).map((file) => join(SDK, `src/${file}.ts`)), ...coreFiles()];
  const places = ['--rootDir', join(ROOT, 'packages'), '--outDir', types];
  execFileSync(process.execPath, [tsc, ...flags.split(' '), ...places, ...files], { stdio: 'inherit' });
  for (const path of readdirSync(types, { recursive: true, encoding: 'utf8' }).map((name) => join(types, name))) {
    if (statSync(path).isFile()) writeFileSync(path, publishable(readFileSync(path, 'utf8'), { path, types }));
  }
  for (const [name, file] of Object.entries(ENTRIES)) {
    writeFileSync(join(DIST, `${name}.d.ts`), `export * from './types/sdk/src/${file}.js';\n`);
  }
  const needed = reachable(Object.keys(ENTRIES).map((name) => join(DIST, `${name}.d.ts`)));
  for (const path of readdirSync(types, { recursive: true, encoding: 'utf8' }).map((name) => join(types, name))) {
    if (statSync(path).isFile() && !needed.has(path)) rmSync(path);
  }
}

/** The compiler takes core for a library, of which it writes no declarations unless it is told to. */
function coreFiles(): readonly string[] {
  const sources = readdirSync(join(SDK, 'src')).map((name) => readFileSync(join(SDK, 'src', name), 'utf8'));
  const names = sources.flatMap((text) => [...text.matchAll(/'@understudy\/core\/([\w/-]+)'/g)].map(([, name]) => name));
  return [...new Set(names)].map((name) => join(ROOT, `packages/core/src/${name}.ts`));
}

/** The declarations that the published ones lead to. */
function reachable(from: readonly string[]): ReadonlySet<string> {
  const found = new Set(from);
  for (const path of found) {
    for (const [, target = ''] of readFileSync(path, 'utf8').matchAll(/['"](\.{1,2}\/[\w./-]+)\.js['"]/g)) {
      found.add(join(dirname(path), `${target}.d.ts`));
    }
  }
  return found;
}

function publishable(text: string, { path, types }: { readonly path: string; readonly types: string }): string {
  const core = relative(dirname(path), join(types, 'core/src')).replaceAll('\\', '/');
  return text
    .replaceAll(/(['"])@understudy\/core\/([\w/-]+)\1/g, (_, quote: string, name: string) => {
      return `${quote}${core.startsWith('.') ? core : `./${core}`}/${name}.js${quote}`;
    })
    .replaceAll(/(['"])(\.{1,2}\/[\w./-]+)\.ts\1/g, '$1$2.js$1');
}

/** The licence of what is inlined goes with it. */
function writeNotice(): void {
  const folder = dirname(dirname(createRequire(join(SDK, 'package.json')).resolve('re2js')));
  const licence = readFileSync(join(folder, 'LICENSE'), 'utf8');
  writeFileSync(join(DIST, 'THIRD-PARTY.txt'), `This package contains re2js, under this licence:\n\n${licence}`);
}
