/** Lets pages of any origin ask: keys, not cookies, say who they are. The flag protocols that browsers speak depend on it. */
import type { FastifyInstance } from 'fastify';

// The longest that a browser remembers a preflight: Chromium's limit.
const PREFLIGHT_SECONDS = 7200;

/** @param methods the methods of the protocol, with commas between them */
export function allowBrowsers(app: FastifyInstance, methods: string): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'ETag, Retry-After',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
  });
  app.options('/*', async (request, reply) => {
    reply.headers({
      'access-control-allow-methods': methods,
      'access-control-allow-headers': request.headers['access-control-request-headers'] ?? '*',
      'access-control-max-age': PREFLIGHT_SECONDS,
      vary: 'access-control-request-headers',
    });
    return reply.status(204).send();
  });
}
