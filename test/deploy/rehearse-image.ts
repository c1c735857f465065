// `npm run rehearse-image`: carries out deploy/Dockerfile in a temporary folder, without a container engine, starts what came of it
// and uses it. It downloads packages, which is why it is not part of `npm test`.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { freePort } from '../../packages/server/src/free-port.contract.ts';
import { firstPrediction } from './first-prediction.ts';
import { buildContext, readRecipe, ROOT, type Stage, type Step } from './image-recipe.ts';

// A shell's words in deploy/Dockerfile that mean the root of the image.
const ABSOLUTE = /(?<=^|\s)\/(?=(?:app|data|usr)\b)/g;

interface Built {
  readonly root: string;
  readonly workdir: string;
  readonly env: Record<string, string>;
  readonly words: Readonly<Partial<Record<Step['kind'], readonly string[]>>>;
}

const folder = mkdtempSync(join(tmpdir(), 'understudy-image-'));
try {
  const image = build();
  say(`built ${megabytes(image.root)} MB on top of the base`);
  await use(image);
  say('passed');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Carries out every stage, and gives the last one. */
function build(): Built {
  const built = new Map<string, string>();
  let last: Built | undefined;
  for (const [index, stage] of readRecipe().entries()) {
    const root = join(folder, stage.name ?? `${index}`);
    last = buildStage(stage, root, built);
    built.set(stage.name ?? `${index}`, root);
  }
  if (last === undefined) throw new Error('deploy/Dockerfile has no stage');
  return last;
}

function buildStage(stage: Stage, root: string, built: ReadonlyMap<string, string>): Built {
  if (!stage.base.startsWith(`node:${process.versions.node}-`)) {
    throw new Error(
      `cannot rehearse on ${stage.base}: this is Node ${process.versions.node}; run it with npm run rehearse-image`,
    );
  }
  // What the base image has.
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  let workdir = '/';
  let env: Record<string, string> = {};
  const words: Partial<Record<Step['kind'], readonly string[]>> = {};
  for (const step of stage.steps) {
    if (step.kind === 'workdir') {
      workdir = resolve(workdir, step.path);
      mkdirSync(join(root, workdir), { recursive: true });
    } else if (step.kind === 'copy') copy(step, join(root, resolve(workdir, step.target)), built);
    else if (step.kind === 'run') run(step.command, root, workdir);
    else if (step.kind === 'env') env = { ...env, ...step.values };
    else if ('words' in step) words[step.kind] = step.words;
  }
  return { root, workdir, env, words };
}

function copy(step: Extract<Step, { kind: 'copy' }>, target: string, built: ReadonlyMap<string, string>): void {
  const from = step.from === undefined ? ROOT : built.get(step.from);
  if (from === undefined)
    throw new Error(`deploy/Dockerfile copies from the stage ${String(step.from)}, which does not come before it`);
  const sent = new Set(buildContext());
  for (const source of step.sources) {
    const isFolder = step.from !== undefined || !sent.has(source);
    const place = isFolder ? target : join(target, basename(source));
    const files = step.from === undefined ? [...sent].filter((path) => path === source || path.startsWith(`${source}/`)) : [''];
    if (files.length === 0) throw new Error(`deploy/Dockerfile copies ${source}, of which .dockerignore lets nothing through`);
    if (step.from !== undefined) cpSync(join(from, source), place, { recursive: true, verbatimSymlinks: true });
    else for (const file of files) cpSync(join(from, file), isFolder ? join(place, file.slice(source.length)) : place);
  }
}

function run(command: string, root: string, workdir: string): void {
  say(`RUN ${command}`);
  // Nobody but root gives files away; whose they are then is looked at by the test of the Dockerfile.
  const here = command.replaceAll(ABSOLUTE, `${root}/`).replaceAll(/ -[og] node\b/g, '');
  execFileSync('sh', ['-ec', here], {
    cwd: join(root, workdir),
    stdio: ['ignore', 'ignore', 'inherit'],
    env: callersEnvironment(),
  });
}

/** Starts the image's command, registers a model, asks for a prediction, checks its health, and stops it. */
async function use(image: Built): Promise<void> {
  const [controlPort, gatewayPort] = [await freePort(), await freePort()];
  const ports = { UNDERSTUDY_CONTROL_PORT: `${controlPort}`, UNDERSTUDY_GATEWAY_PORT: `${gatewayPort}` };
  const env = environmentOf({ ...image.env, ...ports, PATH: `${join(image.root, 'usr/local/bin')}:${searchPath()}` });
  const [command = '', ...args] = [...(image.words.entrypoint ?? []), ...(image.words.cmd ?? [])];
  const server = spawn(command, [...args, '--drain-grace-ms', '0'], {
    cwd: join(image.root, image.workdir),
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(server, 'exit');
  try {
    const token = await tokenOf(server);
    const [controlUrl, gatewayUrl] = [`http://127.0.0.1:${controlPort}`, `http://127.0.0.1:${gatewayPort}`];
    const answer = await firstPrediction({ controlUrl, gatewayUrl, token });
    say(`digits ${String(answer.version)} answers ${String(answer.body['prediction'])}`);
    const [check = '', ...rest] = image.words.healthcheck ?? [];
    await promisify(execFile)(
      check,
      rest.map((word) => word.replaceAll(ABSOLUTE, `${image.root}/`)),
      { env },
    );
    say('HEALTHCHECK passes');
    // Drivers that this start did not need, and others will.
    await promisify(execFile)('node', ['--input-type=module', '--eval', "await import('pg'); await import('ioredis')"], {
      cwd: join(image.root, 'app/packages/server'),
      env,
    });
  } finally {
    server.kill('SIGTERM');
  }
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new Error(`after SIGTERM the program ended with ${String(code)}, not 0`);
}

/** @throws Error when the program ends before it shows a token */
async function tokenOf(server: ChildProcess): Promise<string> {
  if (server.stdout === null) throw new Error('the output of the program cannot be read');
  for await (const line of createInterface({ input: server.stdout })) {
    const [, token] = /^ {2}(us_\S+)$/.exec(line) ?? [];
    if (token !== undefined) return token;
  }
  throw new Error('the program ended, or closed its output, without having shown an admin token');
}

/** Nothing of this checkout: Node, and what a base image has. */
function searchPath(): string {
  return `${dirname(process.execPath)}:/usr/bin:/bin`;
}

/** As it was given, certificates of a proxy perhaps included, but for what the npm that runs this script tells its children. */
function callersEnvironment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'));
  return { ...Object.fromEntries(own), PATH: searchPath() };
}

/** As in the image: nothing of the caller's. */
function environmentOf(values: Readonly<Record<string, string>>): Record<string, string> {
  return { PATH: searchPath(), HOME: folder, ...values };
}

function megabytes(path: string): string {
  return execFileSync('du', ['-sm', path], { encoding: 'utf8' }).split('\t')[0] ?? '';
}

function say(what: string): void {
  console.log(`rehearse-image: ${what}`);
}
