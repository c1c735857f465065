/** The frontend API: evaluated here, for browsers and phones, which never see a rule. */
import { isEnabledVariant } from '@understudy/core/flags/flag';
import { unleashPayload } from '@understudy/core/flags/unleash-model';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { FlagState, ProtocolPorts } from '../flag-world.ts';
import { quoted, tagOf, tagsOf } from '../edge/entity-tag.ts';
import {
  type AttributeTypes,
  attributeTypesOf,
  contextOf,
  fieldsOfBody,
  fieldsOfQuery,
  type FrontendContext,
} from './frontend-context.ts';
import { gateOf } from './key-gate.ts';
import { UnleashProblem } from './problem.ts';
import { openReportIntake } from './report-intake.ts';
import type { JsonBody } from '../edge/json-body.ts';
import { sightingOf } from './sighting.ts';

export interface FrontendOptions {
  /** Whether metrics from browsers count as evidence. */
  readonly believesBrowsers: boolean;
}

interface FrontendRequest {
  Querystring: Readonly<Record<string, unknown>>;
  Body: JsonBody | undefined;
}

export function addFrontendRoutes(app: FastifyInstance, ports: ProtocolPorts, { believesBrowsers }: FrontendOptions): void {
  const gate = gateOf('frontend', ports);
  const onRequest = [allowOrigin, gate];
  const typesOf = rememberTypes();

  async function answer(request: FastifyRequest<FrontendRequest>, reply: FastifyReply): Promise<FastifyReply> {
    ports.sighted(sightingOf(request, false));
    const state = ports.world.now();
    if (state === undefined) throw new UnleashProblem(503, 'Understudy has no flags at the moment');
    const fields = request.method === 'POST' ? fieldsOfBody(request.body?.value) : fieldsOfQuery(request.query);
    const context = contextOf(fields, { address: request.ip, types: typesOf(state) });
    const body = JSON.stringify({ toggles: togglesOf(state, context, ports.clock.nowMs()) });
    // Of the answer itself: it changes with the flags, with the context and with nothing else.
    const tag = tagOf(body);
    reply.type('application/json; charset=utf-8').header('cache-control', 'private, no-cache').header('etag', quoted(tag));
    if (tagsOf(request.headers['if-none-match']).includes(tag)) return reply.status(304).send();
    return reply.send(body);
  }

  const intake = openReportIntake(ports, { isLocal: false, isBelieved: believesBrowsers, status: 200 });
  app.get<FrontendRequest>('/api/frontend', { onRequest }, answer);
  app.post<FrontendRequest>('/api/frontend', { onRequest }, answer);
  app.post<FrontendRequest>('/api/frontend/client/metrics', { onRequest }, intake.metrics);
  app.post<FrontendRequest>('/api/frontend/client/register', { onRequest }, intake.register);
  for (const url of ['/api/frontend', '/api/frontend/*']) app.options(url, { onRequest: allowOrigin }, answerPreflight);
}

/** Any page may ask: the key decides, and it is no cookie that a browser would add by itself. */
async function allowOrigin(_request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.header('access-control-allow-origin', '*').header('access-control-expose-headers', 'ETag');
}

const DAY_SECONDS = 86_400;
const USUAL_HEADERS = 'authorization,content-type,if-none-match,unleash-appname,unleash-connection-id,unleash-sdk';

async function answerPreflight({ headers }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  return reply
    .header('access-control-allow-methods', 'GET, POST, OPTIONS')
    .header('access-control-allow-headers', headers['access-control-request-headers'] ?? USUAL_HEADERS)
    .header('access-control-max-age', DAY_SECONDS)
    .status(204)
    .send();
}

/** Looks through the documents once for each state. */
function rememberTypes(): (state: FlagState) => AttributeTypes {
  const known = new WeakMap<FlagState, AttributeTypes>();
  return (state) => {
    const types = known.get(state) ?? attributeTypesOf(state.documents);
    known.set(state, types);
    return types;
  };
}

interface Toggle {
  readonly name: string;
  readonly enabled: true;
  readonly impressionData: false;
  readonly variant: object;
}

/** Only what is enabled is listed. As in what server SDKs get, an off variant that has a value is served as any other. */
function togglesOf(
  { documents, evaluator }: FlagState,
  { context, currentTimeMs }: FrontendContext,
  nowMs: number,
): readonly Toggle[] {
  const circumstances = { atMs: currentTimeMs ?? nowMs, random: Math.random };
  return documents.flags.flatMap(({ key, type, variants }): readonly Toggle[] => {
    const { variant: name } = evaluator.evaluate(key, context, circumstances);
    const served = name === undefined ? undefined : variants.find((variant) => variant.name === name);
    if (served === undefined || !isEnabledVariant(served, type)) return [];
    const variant = { name, enabled: true, feature_enabled: true, featureEnabled: true, payload: unleashPayload(served.value) };
    return [{ name: key, enabled: true, impressionData: false, variant }];
  });
}
