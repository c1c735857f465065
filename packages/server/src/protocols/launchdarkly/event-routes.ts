/** Where SDKs send events: exposures and metrics become outcomes, everything else is taken and forgotten. */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type JsonBody, readJsonBodies } from '../edge/json-body.ts';
import type { ProtocolPorts } from '../flag-world.ts';
import { attributionOf } from './attribution.ts';
import type { Editions } from './editions.ts';
import { eventsOf, MAX_EVENT_BYTES } from './event-body.ts';
import { readOutcomes } from './events.ts';
import { rememberPayloads } from './seen-payloads.ts';

// Enough for 4,000 SDKs that flush every 5 s, over the time in which one of them repeats a payload.
const REMEMBERED_PAYLOADS = 20_000;

export function addEventRoutes(app: FastifyInstance, ports: ProtocolPorts, editions: Editions): void {
  const payloads = rememberPayloads(REMEMBERED_PAYLOADS);
  readJsonBodies(app, MAX_EVENT_BYTES);
  app.post('/diagnostic', async (_request, reply) => await reply.status(202).send());
  app.post<{ Body: JsonBody | undefined }>('/bulk', async (request, reply) => {
    const id = headerOf(request, 'x-launchdarkly-payload-id') ?? randomUUID();
    await payloads.once(`${request.headers.authorization ?? ''} ${id}`, async () => {
      const events = eventsOf(request.body);
      const { state, data } = editions.current();
      const atMs = ports.clock.nowMs();
      const world = { flags: state.documents.flags, attribution: attributionOf({ state, data }, atMs) };
      const { outcomes, refused } = readOutcomes(events, world, { batch: id, atMs });
      for (const [problem, count] of refused) ports.log.warn({ problem, count }, 'launchdarkly.events_refused');
      if (outcomes.length > 0) await ports.outcomes.report(outcomes);
    });
    return await reply.status(202).send();
  });
}

function headerOf({ headers }: Pick<FastifyRequest, 'headers'>, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' && value !== '' ? value.slice(0, 200) : undefined;
}
