/** The client API: what SDKs on servers call, which evaluate by themselves. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ProtocolPorts } from '../flag-world.ts';
import { quoted, tagsOf } from '../edge/entity-tag.ts';
import { deltaBody, fullBody, tagWithin } from './feature-bytes.ts';
import type { FeatureFeed, Features } from './feature-feed.ts';
import { gateOf, secretOf } from './key-gate.ts';
import { UnleashProblem } from './problem.ts';
import { openReportIntake, type ReportRequest } from './report-intake.ts';
import { sightingOf } from './sighting.ts';
import type { StreamHub } from './stream-hub.ts';
import type { StreamInvitations } from './stream-invitations.ts';

/** What the routes answer from. */
export interface ClientParts {
  readonly ports: ProtocolPorts;
  readonly feed: FeatureFeed;
  readonly hub: StreamHub;
  /** Undefined when polling SDKs are left alone. */
  readonly invitations: StreamInvitations | undefined;
}

type Poll = FastifyRequest<{ Querystring: Readonly<Record<string, unknown>> }>;

const JSON_TYPE = 'application/json; charset=utf-8';

export function addClientRoutes(app: FastifyInstance, parts: ClientParts): void {
  const { ports } = parts;
  const onRequest = gateOf('client', ports);
  const intake = openReportIntake(ports, { isLocal: true, isBelieved: true, status: 202 });
  app.post<ReportRequest>('/api/client/register', { onRequest }, intake.register);
  app.post<ReportRequest>('/api/client/metrics', { onRequest }, intake.metrics);
  addPolls(app, parts);
  addStreaming(app, parts);
}

function addPolls(app: FastifyInstance, { ports, feed, invitations }: ClientParts): void {
  const onRequest = gateOf('client', ports);
  app.get('/api/client/features', { onRequest }, async (request: Poll, reply) => {
    ports.sighted(sightingOf(request, true));
    const features = featuresOf(feed);
    const namePrefix = namePrefixOf(request);
    reply.type(JSON_TYPE).header('cache-control', 'private, no-cache');
    if (invitations?.invites(request.headers) === true) {
      // Without a tag: the SDK drops this answer, and must not be told later that it has it.
      return reply.header('fetch-mode', 'streaming').send(fullBody(features, namePrefix));
    }
    const tag = tagWithin(features.tag, namePrefix);
    reply.header('etag', quoted(tag));
    if (tagsOf(request.headers['if-none-match']).includes(tag)) return reply.status(304).send();
    return reply.send(fullBody(features, namePrefix));
  });

  app.get('/api/client/delta', { onRequest }, async (request: Poll, reply) => {
    ports.sighted(sightingOf(request, true));
    const features = featuresOf(feed);
    const namePrefix = namePrefixOf(request);
    const known = tagsOf(request.headers['if-none-match']);
    const tag = tagWithin(features.tag, namePrefix);
    reply.type(JSON_TYPE).header('cache-control', 'private, no-cache').header('etag', quoted(tag));
    if (known.includes(tag)) return reply.status(304).send();
    const events = feed.since((candidate) => known.includes(tagWithin(candidate, namePrefix)));
    return reply.send(deltaBody(features, namePrefix, events));
  });
}

function addStreaming(app: FastifyInstance, { ports, feed, hub, invitations }: ClientParts): void {
  const onRequest = gateOf('client', ports);
  app.get('/api/client/streaming', { onRequest, exposeHeadRoute: false }, async (request, reply) => {
    ports.sighted(sightingOf(request, true));
    const features = featuresOf(feed);
    if (!hub.hasRoom()) throw new UnleashProblem(429, 'there are as many streams as this server takes; poll instead');
    if (invitations?.admits(request.headers) === false) {
      throw new UnleashProblem(429, 'streams to this SDK break again and again; poll instead');
    }
    const lastEventId = request.headers['last-event-id'];
    reply.hijack();
    hub.open(reply.raw, features, {
      secret: secretOf(request) ?? '',
      lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
    });
  });
}

function featuresOf(feed: FeatureFeed): Features {
  const features = feed.now();
  if (features === undefined) throw new UnleashProblem(503, 'Understudy has no flags at the moment');
  return features;
}

/** Flags here have neither projects nor tags, so those filters take all. */
function namePrefixOf({ query }: Poll): string {
  const { namePrefix } = query;
  return typeof namePrefix === 'string' ? namePrefix : '';
}
