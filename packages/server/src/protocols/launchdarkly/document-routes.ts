/** Where SDKs get flags and segments: one stream of changes, or documents to poll. */
import { AppError } from '@understudy/core/errors';
import type { FastifyInstance } from 'fastify';
import { quoted, tagsOf } from '../edge/entity-tag.ts';
import type { ProtocolPorts } from '../flag-world.ts';
import type { Editions } from './editions.ts';
import type { Streams } from './streams.ts';

export interface DocumentSources {
  readonly editions: Editions;
  readonly streams: Streams;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const FULL_RETRY_SECONDS = 10;

export function addDocumentRoutes(app: FastifyInstance, { log }: ProtocolPorts, { editions, streams }: DocumentSources): void {
  // Answers to HEAD would open streams.
  app.get('/all', { exposeHeadRoute: false }, async (request, reply) => {
    if (streams.isFull()) {
      log.warn({ streams: streams.size }, 'launchdarkly.streams_full');
      reply.header('retry-after', FULL_RETRY_SECONDS);
      throw new AppError('request.overloaded', `${streams.size} streams are open, as many as this server takes; try again later`);
    }
    const { put } = editions.current();
    reply.hijack();
    if (!reply.raw.destroyed) streams.open(reply.raw, request.headers.authorization ?? '', put);
  });
  app.get('/sdk/latest-all', async (request, reply) => {
    const { all, tag, allCompressed } = editions.current();
    // Weak, as the same goes out compressed and not.
    reply.headers({ etag: `W/${quoted(tag)}`, vary: 'accept-encoding', 'cache-control': 'no-cache' });
    if (tagsOf(request.headers['if-none-match']).includes(tag)) return await reply.status(304).send();
    reply.type(JSON_TYPE);
    if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return await reply.send(all);
    return await reply.header('content-encoding', 'gzip').send(await allCompressed());
  });
  app.get('/sdk/latest-flags', async (_request, reply) => {
    return await reply.type(JSON_TYPE).send(editions.current().allFlags());
  });
  for (const folder of ['flags', 'segments'] as const) {
    app.get<{ Params: { key: string } }>(`/sdk/${folder}/:key`, async ({ params: { key } }, reply) => {
      const item = editions.current()[folder].get(key);
      if (item === undefined) throw new AppError('request.not_found', `there is no "${key}" among the ${folder}`);
      return await reply.type(JSON_TYPE).send(item.text);
    });
  }
  for (const path of ['/sdk/stream', '/sdk/poll']) {
    app.get(path, { exposeHeadRoute: false }, async (_request, reply) => {
      // SDKs that were told to use LaunchDarkly's second protocol take this header as the order to poll by the first.
      return await reply.status(501).header('x-ld-fd-fallback', 'true').send({
        code: 'protocol.unsupported',
        message: 'only the first protocol is served; the SDK falls back to polling it, and streams when `dataSystem` is left out',
      });
    });
  }
}
