/** Who may do what. Nothing is open unless it says so: a route without a declared access stops the program at its start. */
import { AppError } from '@understudy/core/errors';
import { allows, type Scope, type Token } from '@understudy/core/token';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../clock.ts';
import { hold, type QueryContext } from '../commands/queries.ts';
import { digestOf, isDigestOf, parseToken } from '../token-secret.ts';
import { openFailedTries } from './failed-tries.ts';

/** The scope that a route needs; `public`; or `sdk`, where a flag protocol asks for a key itself, each in its own place. */
export type Access = Scope | 'public' | 'sdk';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** The token that the request came with; undefined on public routes. */
    token: Token | undefined;
  }
}

/** Where tokens are looked up. */
export interface AccessContext extends QueryContext {
  readonly clock: Clock;
  /** Where flag protocols are mounted. */
  readonly sdkPrefixes: readonly string[];
}

// Plugins declare no access for their routes; these are theirs, and open as they hold nothing but the description of the API.
const PUBLIC_PLUGIN_ROUTES = /^\/docs(?:\/|$)/;

// Compared with when there is no such token, so that an unknown id takes as long as a wrong secret.
const NOBODY = digestOf('nobody');

/** Guards every route that is added to the app afterwards, and every address without a route. */
export function guardAccess(app: FastifyInstance, context: AccessContext): void {
  const failedTries = openFailedTries(context.clock);
  app.decorateRequest('token', undefined);
  app.addHook('onRoute', (route) => {
    if (route.config?.access !== undefined) return;
    if (isMounted(context.sdkPrefixes, route.prefix)) {
      route.config = { ...route.config, access: 'sdk' };
      return;
    }
    if (!PUBLIC_PLUGIN_ROUTES.test(route.url)) throw new Error(`route ${String(route.method)} ${route.url} declares no access`);
    route.config = { ...route.config, access: 'public' };
  });
  app.addHook('onRequest', async (request, reply) => {
    // The matched route decides and never the text of the address, so no spelling of an address leads around it.
    const access = request.routeOptions.config.access;
    if (access === 'public' || access === 'sdk') return;
    // SDKs give up for good when they are told that their key is wrong; that an address does not exist is no secret.
    if (request.is404 && isMounted(context.sdkPrefixes, request.url)) return;
    const token = await readToken(context, request);
    if (token === undefined) throw refuse(request, reply, failedTries.record(request.ip));
    request.token = token;
    if (access === undefined || allows(token.scopes, access)) return;
    throw new AppError(
      'auth.forbidden',
      `token "${token.name}" may ${token.scopes.join(', ')}; this needs the scope "${access}"`,
    );
  });
}

function isMounted(prefixes: readonly string[], path: string): boolean {
  return prefixes.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
}

/** The token of a request; undefined when there is none that is valid. */
async function readToken(context: AccessContext, request: FastifyRequest): Promise<Token | undefined> {
  const { authorization } = request.headers;
  if (authorization === undefined) {
    throw new AppError('auth.missing_token', 'a token is needed: send the header "Authorization: Bearer us_…"');
  }
  const [, text] = /^bearer +(\S+)$/i.exec(authorization) ?? [];
  const parts = parseToken(text ?? '');
  const held = parts === undefined ? undefined : await hold(context, 'token', parts.id);
  const token = held?.body;
  const isProven = isDigestOf(parts?.secret ?? '', token?.sha256 ?? NOBODY);
  if (!isProven || token === undefined) return undefined;
  return token.expiresAtMs === undefined || context.clock.nowMs() < token.expiresAtMs ? token : undefined;
}

/** One answer for an unknown id, a wrong secret and an expired token: it must not tell which ids exist. */
function refuse(request: FastifyRequest, reply: FastifyReply, waitSeconds: number): AppError {
  if (waitSeconds === 0) {
    return new AppError(
      'auth.invalid_token',
      'the token is not valid: it is unknown, expired or revoked; ask an admin for another',
    );
  }
  reply.header('retry-after', waitSeconds);
  return new AppError(
    'request.overloaded',
    `too many requests from ${request.ip} came with an invalid token; try again in ${waitSeconds} s, or send a valid one`,
  );
}
