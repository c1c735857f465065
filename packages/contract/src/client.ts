/** The typed client of the control API: CLI, demo and dashboard speak through it. */
import { AppError, ERROR_STATUS, type ErrorCode } from '@understudy/core/errors';
import type { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import { type EndpointName, ENDPOINTS } from './endpoints.ts';
import { parseJson } from './parsed-json.ts';
import { Problem } from './problems.ts';

type Of<Name extends EndpointName> = (typeof ENDPOINTS)[Name];
type Field<Key extends string, Schema> = Schema extends z.ZodObject
  ? Record<never, never> extends z.input<Schema>
    ? { readonly [K in Key]?: z.input<Schema> }
    : { readonly [K in Key]: z.input<Schema> }
  : Schema extends z.ZodType
    ? { readonly [K in Key]: z.input<Schema> }
    : Schema extends 'binary'
      ? { readonly [K in Key]: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> }
      : { readonly [K in Key]?: undefined };

/** What a call takes: parameters of the path, query and body, and optionally a key that makes it happen once. */
export type CallInput<Name extends EndpointName> = Field<'params', Of<Name>['params']> &
  Field<'query', Of<Name>['query']> &
  Field<'body', Of<Name>['body']> & { readonly idempotencyKey?: string; readonly signal?: AbortSignal };

export type Answer<Name extends EndpointName> = z.output<Of<Name>['answer']>;

export interface ClientOptions {
  /** Base address of the control plane, such as `http://127.0.0.1:7070`. */
  readonly url: string;
  readonly token?: string;
  /** Milliseconds after which a call is given up; 30 s when left out. */
  readonly timeoutMs?: number;
}

/** Calls one endpoint. Throws AppError with the server's code, or `upstream.unreachable` when there is no answer. */
export type Client = <Name extends EndpointName>(name: Name, input: CallInput<Name>) => Promise<Answer<Name>>;

interface LooseInput {
  readonly params?: object;
  readonly query?: object;
  readonly body?: unknown;
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

export function createClient(options: ClientOptions): Client {
  return async (name, input) => {
    const endpoint: Endpoint = ENDPOINTS[name];
    const response = await send(options, endpoint, input);
    const text = await response.text();
    if (!response.ok) throw errorOf(response, text, options.url);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the schema just parsed is the one that Answer<Name> is made of
    return endpoint.answer.parse(JSON.parse(text)) as Answer<typeof name>;
  };
}

async function send(options: ClientOptions, endpoint: Endpoint, input: LooseInput): Promise<Response> {
  const headers: Record<string, string> = {};
  if (options.token !== undefined) headers['authorization'] = `Bearer ${options.token}`;
  if (endpoint.method !== 'GET') headers['idempotency-key'] = input.idempotencyKey ?? crypto.randomUUID();
  if (input.body !== undefined)
    headers['content-type'] = endpoint.body === 'binary' ? 'application/octet-stream' : 'application/json';
  const timeout = AbortSignal.timeout(options.timeoutMs ?? 30_000);
  const init: RequestInit & { duplex?: 'half' } = {
    method: endpoint.method,
    headers,
    signal: input.signal === undefined ? timeout : AbortSignal.any([timeout, input.signal]),
    ...(input.body === undefined ? {} : { body: bodyOf(endpoint, input.body), duplex: 'half' }),
  };
  const address = addressOf(options.url, endpoint, input);
  try {
    return await fetch(address, init);
  } catch (error) {
    if (input.signal?.aborted === true) throw error;
    const why = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new AppError('upstream.unreachable', `no answer from ${options.url}: ${why}. Is \`understudy serve\` running there?`, {
      cause: error,
    });
  }
}

function bodyOf(endpoint: Endpoint, body: unknown): NonNullable<RequestInit['body']> {
  if (endpoint.body !== 'binary') return JSON.stringify(body);
  if (body instanceof ReadableStream) return body;
  if (body instanceof Uint8Array) return new Uint8Array(body);
  throw new Error('a binary endpoint takes a stream or bytes');
}

function addressOf(url: string, endpoint: Endpoint, input: LooseInput): string {
  const params = new Map<string, unknown>(Object.entries(input.params ?? {}));
  const path = endpoint.path.replaceAll(/:([a-z]+)/g, (_, name: string) => encodeURIComponent(String(params.get(name))));
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(input.query ?? {})) if (value !== undefined) query.set(key, String(value));
  const search = query.size === 0 ? '' : `?${query.toString()}`;
  return `${url.replace(/\/+$/, '')}/api/v1${path}${search}`;
}

function errorOf(response: Response, text: string, url: string): AppError {
  const problem = Problem.safeParse(parseJson(text));
  if (!problem.success) {
    return new AppError(
      'upstream.bad_response',
      `${url} answered ${response.status}, but not as Understudy does: ${text.slice(0, 200)}`,
    );
  }
  const { code, message, requestId } = problem.data.error;
  const known: ErrorCode = isErrorCode(code) ? code : 'upstream.bad_response';
  return new AppError(known, `${message} (request ${requestId})`);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_STATUS, code);
}
