/** Runs command lines in this process against a small control plane that answers from a table; for tests of the command line. */
import { mkdir, mkdtemp } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import type { Endpoint } from '@understudy/contract/endpoint';
import { ENDPOINTS } from '@understudy/contract/endpoints';
import { AppError } from '@understudy/core/errors';
import type { Environment } from './io.ts';
import { runCli } from './run-cli.ts';
import type { ProgramDeps } from './program.ts';
import { answers, NOW_MS } from './test-data.ts';
import { localAnswers } from './test-local-data.ts';

/** A request that arrived. */
export interface Seen {
  readonly endpoint: string;
  readonly path: string;
  readonly token: string | undefined;
  readonly body: unknown;
}

/** What to answer with: a body, or a function that may throw an AppError. */
export type Answers = Readonly<Record<string, unknown>>;

export interface Fixture extends AsyncDisposable {
  readonly url: string;
  readonly seen: readonly Seen[];
  /** Replaces answers from now on. */
  set(more: Answers): void;
}

/** The gateway on this machine, at the usual place below a folder. */
export async function openLocalFixture(folder: string, text?: string): Promise<AsyncDisposable> {
  const answersOf = localAnswers(NOW_MS, text);
  const server = createServer((request, response) => {
    response.end(JSON.stringify(answersOf[request.url ?? '']));
  });
  await mkdir(path.join(folder, 'understudy-data'));
  await new Promise<void>((resolve) => server.listen(path.join(folder, 'understudy-data/gateway.sock'), resolve));
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export async function openFixture(more: Answers = {}): Promise<Fixture> {
  const table = new Map<string, unknown>([...Object.entries(answers()), ...Object.entries(more)]);
  const seen: Seen[] = [];
  const server = createServer((request, response) => void handle(request, response, { table, seen }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    seen,
    set(later) {
      for (const [name, answer] of Object.entries(later)) table.set(name, answer);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface RunOptions {
  readonly url?: string;
  readonly env?: Environment;
  readonly cwd?: string;
  readonly isTty?: boolean;
  readonly canAsk?: boolean;
  readonly columns?: number;
  /** Typed after the question has appeared. */
  readonly keys?: string;
  /** Read whole, as from a pipe. */
  readonly stdin?: string;
  readonly interrupt?: AbortSignal;
  /** Told of what is printed. */
  readonly onStdout?: () => void;
  readonly clock?: ProgramDeps['clock'];
  readonly extraCommands?: NonNullable<ProgramDeps['extraCommands']>;
  readonly localChecks?: NonNullable<ProgramDeps['localChecks']>;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An empty folder: no project file, no context. */
export async function emptyFolder(): Promise<string> {
  return mkdtemp(path.join(tmpdir(), 'understudy-cli-'));
}

export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const written = { stdout: '', stderr: '' };
  let isAsked = false;
  stdout.on('data', (chunk: Buffer) => {
    written.stdout += chunk.toString();
    options.onStdout?.();
  });
  stderr.on('data', (chunk: Buffer) => {
    written.stderr += chunk.toString();
    if (!isAsked && written.stderr.includes('Go on?')) {
      isAsked = true;
      // The question is drawn before it listens.
      setTimeout(() => stdin.write(options.keys ?? ''), 50);
    }
  });
  if (options.stdin !== undefined) stdin.end(options.stdin);
  const folder = options.cwd ?? (await emptyFolder());
  const { isTty = false, columns = 80, canAsk = false, clock = { nowMs: () => NOW_MS } } = options;
  const code = await runCli(argv, {
    io: { stdin, stdout, stderr, isTty, columns, canAsk },
    env: { XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder, UNDERSTUDY_URL: options.url, ...options.env },
    cwd: folder,
    clock,
    release: '0.1.0',
    // The machine of a test may be busy.
    patienceMs: 10_000,
    ...(options.interrupt === undefined ? {} : { interrupt: options.interrupt }),
    ...(options.extraCommands === undefined ? {} : { extraCommands: options.extraCommands }),
    ...(options.localChecks === undefined ? {} : { localChecks: options.localChecks }),
  });
  await new Promise((resolve) => setImmediate(resolve));
  return { code, ...written };
}

interface Desk {
  readonly table: ReadonlyMap<string, unknown>;
  readonly seen: Seen[];
}

async function handle(request: IncomingMessage, response: ServerResponse, { table, seen }: Desk): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const { pathname, search } = new URL(request.url ?? '/', 'http://fixture');
  const found = endpointOf(request.method ?? '', pathname);
  const send = (status: number, body: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  try {
    if (found === undefined) throw new AppError('request.not_found', `there is no ${request.method} ${pathname}`);
    const [name, endpoint] = found;
    const text = Buffer.concat(chunks).toString();
    const body = bodyOf(endpoint, text);
    const token = request.headers.authorization?.replace('Bearer ', '');
    seen.push({ endpoint: name, path: pathname.replace('/api/v1', '') + search, token, body });
    const answer = table.get(name);
    send(200, endpoint.answer.parse(typeof answer === 'function' ? answer(pathname) : answer));
  } catch (error) {
    const known = error instanceof AppError ? error : new AppError('internal.unexpected', String(error));
    send(known.status, { error: { code: known.code, message: known.message, requestId: 'r-1' } });
  }
}

/** The body must be what the contract takes, so that a test cannot pass with one that the server would refuse. */
function bodyOf(endpoint: Endpoint, text: string): unknown {
  if (endpoint.body === 'none') return undefined;
  return endpoint.body === 'binary' ? text : endpoint.body.parse(JSON.parse(text));
}

function endpointOf(method: string, pathname: string): readonly [string, Endpoint] | undefined {
  return Object.entries(ENDPOINTS).find(
    ([, endpoint]) =>
      endpoint.method === method && new RegExp(`^/api/v1${endpoint.path.replaceAll(/:[a-z]+/g, '[^/]+')}$`).test(pathname),
  );
}
