/** A document at one revision as it is sent: written once, whoever asks. What SDKs and gateways live on is served from it. */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { quoted, tagsOf } from './entity-tag.ts';

const compress = promisify(gzip);

export interface Edition {
  /**
   * Revision and content: a store that came back from a backup reaches the same revision with other documents. Safe in
   * an entity tag, an event's id and a query.
   */
  readonly id: string;
  readonly body: Buffer;
  /** The body, compressed once. */
  readonly compressed: () => Promise<Buffer>;
  /** The body as an event. */
  readonly event: Buffer;
  /** The event that tells a client which has this edition that it is the newest. */
  readonly confirmation: Buffer;
}

export function editionOf(revision: number, document: unknown): Edition {
  const text = JSON.stringify(document);
  const body = Buffer.from(text);
  const id = `${revision}-${createHash('sha256').update(body).digest('base64url').slice(0, 16)}`;
  let compressed: Promise<Buffer> | undefined;
  return {
    id,
    body,
    compressed: () => (compressed ??= compress(body)),
    event: Buffer.from(`id: ${id}\nevent: snapshot\ndata: ${text}\n\n`),
    confirmation: Buffer.from(`event: current\ndata: ${id}\n\n`),
  };
}

/** Answers a poll: nothing when the caller has this edition, compressed when the caller can read that. */
export async function sendEdition(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  { id, body, compressed }: Edition,
): Promise<FastifyReply> {
  reply.headers({ etag: quoted(id), vary: 'accept-encoding, authorization', 'cache-control': 'private, no-cache' });
  if (tagsOf(headers['if-none-match']).includes(id)) return await reply.status(304).send();
  reply.type('application/json; charset=utf-8');
  if (!/\bgzip\b/.test(headers['accept-encoding'] ?? '')) return await reply.send(body);
  return await reply.header('content-encoding', 'gzip').send(await compressed());
}
