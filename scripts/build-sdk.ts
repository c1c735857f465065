/** Builds what is published of the SDK: one file of JavaScript for each entry, with core, feed and the regex library in it, and types. */
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
  const files = [...Object.values(ENTRIES).map((file) => join(SDK, `src/${file}.ts`)), ...inlinedFiles()];
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

/** The compiler takes core and feed for libraries, of which it writes no declarations unless it is told to. */
function inlinedFiles(): readonly string[] {
  const folders = [join(SDK, 'src'), join(ROOT, 'packages/feed/src')];
  const sources = folders.flatMap((folder) => readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8')));
  const files = sources.flatMap((text) =>
    [...text.matchAll(/'@understudy\/(core|feed)\/([\w/-]+)'/g)].map(([, part, name]) => `packages/${part}/src/${name}.ts`),
  );
  return [...new Set(files)].map((file) => join(ROOT, file));
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
  const inlined = ['core', 'feed'].reduce((rest, part) => {
    const folder = relative(dirname(path), join(types, part, 'src')).replaceAll('\\', '/');
    const place = folder.startsWith('.') ? folder : `./${folder}`;
    return rest.replaceAll(new RegExp(`(['"])@understudy/${part}/([\\w/-]+)\\1`, 'g'), `$1${place}/$2.js$1`);
  }, text);
  return inlined.replaceAll(/(['"])(\.{1,2}\/[\w./-]+)\.ts\1/g, '$1$2.js$1');
}

/** The licence of what is inlined goes with it. */
function writeNotice(): void {
  const folder = dirname(dirname(createRequire(join(SDK, 'package.json')).resolve('re2js')));
  const licence = readFileSync(join(folder, 'LICENSE'), 'utf8');
  writeFileSync(join(DIST, 'THIRD-PARTY.txt'), `This package contains re2js, under this licence:\n\n${licence}`);
}
