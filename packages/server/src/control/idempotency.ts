/** The key that makes a change happen once, however often its request is sent. */
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Caller } from '../commands/command.ts';
import { canonicalJson } from '../storage/canonical-json.ts';
import type { Json } from '../storage/store.ts';

const IDEMPOTENCY_HEADER = 'idempotency-key';

/** The header of every endpoint that changes something. */
export const IdempotencyHeaders = z.looseObject({
  [IDEMPOTENCY_HEADER]: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'use 1 to 200 visible ASCII characters, such as a UUID')
    .exactOptional()
    .meta({ description: 'Makes the change happen once: the same request with the same key gets the first answer again.' }),
});

/** Who sends a request, and under which key. */
export function callerOf(request: FastifyRequest, actor: string): Caller {
  const key = request.headers[IDEMPOTENCY_HEADER];
  if (typeof key !== 'string' || request.method === 'GET' || request.method === 'HEAD') return { actor };
  return { actor, idempotency: { key, request: digestOfRequest(request) } };
}

function digestOfRequest({ method, url, body }: FastifyRequest): string {
  const json: Json = body === undefined ? null : JSON.parse(JSON.stringify(body));
  return createHash('sha256')
    .update(`${method} ${url}\n${canonicalJson(json)}`)
    .digest('hex');
}
