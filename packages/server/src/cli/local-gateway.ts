/** Asks the gateway on this machine over its socket. The commands on gateways depend on it. */
import { request } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { Problem } from '@understudy/contract/problems';
import { AppError, ERROR_STATUS, type ErrorCode } from '@understudy/core/errors';
import { z } from 'zod';

const TIMEOUT_MS = 5000;

/** A path to read, or one to send a body to. */
export interface LocalRequest {
  readonly path: string;
  readonly body?: object;
}

const LocalProblem = z.object({ error: Problem.shape.error.omit({ requestId: true }) });

/**
 * @throws AppError what the gateway answers; `gateway.unreachable` when nobody listens there
 */
export async function askLocally<T>(socket: string, asked: LocalRequest, schema: z.ZodType<T>): Promise<T> {
  const { status, text } = await send(socket, asked);
  const json: unknown = JSON.parse(text);
  if (status === 200) return schema.parse(json);
  const { code, message } = LocalProblem.parse(json).error;
  throw new AppError(isCode(code) ? code : 'internal.unexpected', message);
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_STATUS, code);
}

function send(socketPath: string, { path, body }: LocalRequest): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      const message = `no gateway answers on the socket "${socketPath}": ${error.message}; name it with --socket (gateway.sock in the folder of the gateway, --data), and use the account that the gateway runs under`;
      reject(new AppError('gateway.unreachable', message, { cause: error }));
    };
    const asked = request({ socketPath, path, method: body === undefined ? 'GET' : 'POST', timeout: TIMEOUT_MS }, (response) => {
      textOf(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), fail);
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    asked.on('error', fail);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
