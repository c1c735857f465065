/** Routes made from the endpoint table: one loop, so that no endpoint can forget its schema or its scope. */
import type { Endpoint, Rendering } from '@understudy/contract/endpoint';
import { type EndpointName, ENDPOINTS } from '@understudy/contract/endpoints';
import { Problem } from '@understudy/contract/problems';
import { AppError } from '@understudy/core/errors';
import type { FastifyInstance, FastifyRequest, FastifySchema } from 'fastify';
import { z } from 'zod';
import { announcesBody } from './announced-body.ts';
import type { Call, HandlerContext } from './call.ts';
import { HANDLERS } from './handlers.ts';
import { callerOf, IdempotencyHeaders } from './idempotency.ts';
import { passUploads, uploadOf } from './upload-body.ts';

/** Where every endpoint's path begins. */
const API_PREFIX = '/api/v1';

// Time for a request whose body is small. An upload takes as long as it takes.
const HANDLER_TIMEOUT_MS = 60_000;

const Upload = z.unknown().meta({ type: 'string', format: 'binary' });

export interface RouteOptions {
  readonly context: HandlerContext;
  readonly maxUploadBytes: number;
}

export async function addRoutes(app: FastifyInstance, options: RouteOptions): Promise<void> {
  for (const name of endpointNames()) {
    if (ENDPOINTS[name].body !== 'binary') addRoute(app, name, options);
    else {
      await app.register(async (uploads) => {
        passUploads(uploads);
        addRoute(uploads, name, options);
      });
    }
  }
}

function endpointNames(): readonly EndpointName[] {
  return Object.keys(ENDPOINTS).filter((name): name is EndpointName => Object.hasOwn(ENDPOINTS, name));
}

function addRoute<Name extends EndpointName>(app: FastifyInstance, name: Name, options: RouteOptions): void {
  const endpoint: Endpoint = ENDPOINTS[name];
  const handler = HANDLERS[name];
  app.route({
    method: endpoint.method,
    url: `${API_PREFIX}${endpoint.path}`,
    config: { access: endpoint.scope },
    schema: schemaOf(name, endpoint),
    ...(endpoint.body === 'binary' ? {} : { handlerTimeout: HANDLER_TIMEOUT_MS }),
    ...(endpoint.maxBodyBytes === undefined ? {} : { bodyLimit: endpoint.maxBodyBytes }),
    handler: async (request, reply) => {
      const answer: unknown = await handler(options.context, callOf<Name>(endpoint, request, options));
      // What is acknowledged is in force here: whoever asks for flags next gets what was said.
      if (endpoint.method !== 'GET' && endpoint.scope !== 'feedback') await options.context.flags.refresh();
      const rendered = renderingOf(endpoint, request.headers.accept);
      if (rendered === undefined) return answer;
      // Bytes are sent as they are: the schema of the answer is that of the JSON form.
      return reply.type(rendered.type).send(Buffer.from(rendered.render(answer, request.params)));
    },
  });
}

/** The first form beside JSON that the client names; clients that take anything get JSON. */
function renderingOf(
  { renderings = {} }: Endpoint,
  accept: string | undefined,
): { readonly type: string; readonly render: Rendering } | undefined {
  for (const wanted of accept?.split(',') ?? []) {
    const type = wanted.split(';')[0]?.trim().toLowerCase() ?? '';
    const render = Object.hasOwn(renderings, type) ? renderings[type] : undefined;
    if (render !== undefined) return { type, render };
  }
  return undefined;
}

function callOf<Name extends EndpointName>(endpoint: Endpoint, request: FastifyRequest, options: RouteOptions): Call<Name> {
  const { token, params, query } = request;
  if (token === undefined) throw new Error(`${request.url} was let in without a token`);
  const actor = `token:${token.name}`;
  const isUpload = endpoint.body === 'binary';
  const call = {
    params,
    query,
    token,
    body: isUpload ? uploadOf(request, options.maxUploadBytes) : bodyOf(endpoint, request),
    // What is uploaded twice is stored once, by its digest.
    caller: isUpload ? { actor } : callerOf(request, actor),
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the schemas that parsed the request are those that Call<Name> is made of
  return call as Call<Name>;
}

function bodyOf(endpoint: Endpoint, { raw, body, method }: FastifyRequest): unknown {
  if (endpoint.body !== 'none' || !announcesBody(raw)) return body;
  throw new AppError('request.invalid', `${method} ${endpoint.path} takes no body; leave it out`);
}

function schemaOf(name: EndpointName, endpoint: Endpoint): FastifySchema {
  const { params, query, body, answer, scope, summary, path, method } = endpoint;
  const [, tag = ''] = path.split('/');
  return {
    operationId: name,
    summary,
    description: `Needs the scope \`${scope}\`.`,
    tags: [tag],
    security: [{ token: [] }],
    params,
    querystring: query,
    ...(body === 'none' ? {} : body === 'binary' ? { body: Upload, consumes: ['application/octet-stream'] } : { body }),
    ...(method === 'GET' || body === 'binary' ? {} : { headers: IdempotencyHeaders }),
    response: { 200: answer, '4xx': Problem, '5xx': Problem },
  };
}
