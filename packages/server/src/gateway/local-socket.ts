/** The socket on which a gateway is asked by whoever is on its machine: its state, and its kill switch. The file's permissions are the lock. */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { KillHere, type LocalOutcome, type LocalStatus, UnkillHere } from '@understudy/contract/local-socket';
import { describeProblems } from '@understudy/contract/problems';
import { AppError } from '@understudy/core/errors';
import type { z } from 'zod';
import { boundedBytes } from '../bounded-bytes.ts';
import type { Clock } from '../clock.ts';
import type { GatewayPorts } from './gateway-ports.ts';
import type { LocalSwitch } from './local-switch.ts';

export interface LocalSocketOptions extends Pick<GatewayPorts, 'log'> {
  readonly path: string;
  readonly localSwitch: LocalSwitch;
  readonly status: () => LocalStatus;
  readonly clock: Clock;
}

// The longest address of a Unix socket on Linux, its closing zero left out.
const MAX_PATH_BYTES = 107;
const MAX_BODY_BYTES = 16 * 1024;

/**
 * Listens. What a process that died has left is taken over.
 * @throws AppError `config.invalid` when the path is too long or in use
 */
export async function openLocalSocket(options: LocalSocketOptions): Promise<{ close(): Promise<void> }> {
  const { path } = options;
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new AppError(
      'config.invalid',
      `cannot listen on the socket "${path}": its path is longer than ${MAX_PATH_BYTES} bytes; choose a shorter one with --socket, or none with --socket none`,
    );
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  if (await isAlive(path)) {
    throw new AppError(
      'config.invalid',
      `another gateway listens on the socket "${path}"; give each gateway a folder (--data) or a socket (--socket) of its own`,
    );
  }
  await rm(path, { force: true });
  const server = createServer((req, res) => {
    answer(options, req, res).catch((error: unknown) => {
      options.log('socket.failed', { error: String(error) });
      res.destroy();
    });
  });
  await listen(server, path);
  await chmod(path, 0o600);
  return {
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
      await rm(path, { force: true });
    },
  };
}

async function answer(options: LocalSocketOptions, req: IncomingMessage, res: ServerResponse): Promise<void> {
  try {
    reply(res, 200, await route(options, req));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    reply(res, error.status, { error: { code: error.code, message: error.message } });
  }
}

function reply(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8', connection: 'close' });
  res.end(`${JSON.stringify(body)}\n`);
}

async function route(options: LocalSocketOptions, req: IncomingMessage): Promise<LocalOutcome | LocalStatus> {
  const { localSwitch, clock, log, status } = options;
  switch (`${req.method} ${req.url}`) {
    case 'GET /status':
      return status();
    case 'POST /kill': {
      const { model, by, reason } = await read(req, KillHere);
      assertKnown(status(), model);
      if (!localSwitch.kill({ model, by, reason, atMs: clock.nowMs() })) {
        return { outcome: 'already-done', message: `model "${model}" is killed on this gateway already` };
      }
      log('model.killed_here', { model, by, reason });
      return { outcome: 'done', message: `everybody who comes to this gateway is on the champion of "${model}"` };
    }
    case 'POST /unkill': {
      const { model } = await read(req, UnkillHere);
      if (!localSwitch.unkill(model)) {
        return { outcome: 'already-done', message: `model "${model}" is not killed on this gateway` };
      }
      log('model.unkilled_here', { model });
      return { outcome: 'done', message: `model "${model}" is served on this gateway as the control plane says` };
    }
    default:
      throw new AppError('request.not_found', 'there is GET /status, POST /kill and POST /unkill');
  }
}

/** A mistyped name must not look like a kill. A gateway without snapshot knows no names, and takes any. */
function assertKnown({ readiness, revision }: LocalStatus, model: string): void {
  const known = [...new Set(readiness.map((one) => one.model))];
  if (revision === undefined || known.includes(model)) return;
  throw new AppError('model.not_found', `this gateway serves no model "${model}"; it serves: ${known.join(', ') || 'none'}`);
}

async function read<T>(req: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const bytes = await boundedBytes(req, MAX_BODY_BYTES);
  if (bytes === undefined) throw new AppError('request.body_too_large', `the body is larger than ${MAX_BODY_BYTES} bytes`);
  const parsed = schema.safeParse(json(bytes.toString('utf8')));
  if (parsed.success) return parsed.data;
  throw new AppError('request.invalid', `the body cannot be used: ${describeProblems(parsed.error)}`);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new AppError('request.invalid', 'the body is no JSON');
  }
}

/** Whether somebody answers on a socket; a file that nobody listens on was left by a process that died. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new AppError('config.invalid', `cannot listen on the socket "${path}": ${error.message}`, { cause: error })),
    );
    server.listen(path, resolve);
  });
}
