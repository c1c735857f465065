/** The OpenFeature Remote Evaluation Protocol 0.3.0, with its event streams. `compose-control.ts` serves it under `/ofrep`. */
import { AppError } from '@understudy/core/errors';
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import { type Admission, admit, stateOf } from '../edge/admission.ts';
import { allowBrowsers } from '../edge/browser-access.ts';
import { quoted, tagOf, tagsOf } from '../edge/entity-tag.ts';
import { type EventStreams, MAX_STREAMS, openEventStreams } from '../edge/event-streams.ts';
import { type JsonBody, readJsonBodies } from '../edge/json-body.ts';
import { type Refusal, refusalOf, setRefusalHeaders } from '../edge/refusal.ts';
import type { FlagState, ProtocolPorts } from '../flag-world.ts';
import { readContext } from './evaluation-context.ts';
import { failure, type FlagAnswer, type FlagAnswers, openFlagAnswers } from './flag-answers.ts';
import { versionOf } from './state-version.ts';
import { signStreams, windowAt } from './stream-token.ts';

export interface OfrepOptions {
  readonly maxStreams?: number;
}

// A context is what a page knows of its user.
const MAX_BODY_BYTES = 256 * 1024;
// OFREP's own default, after which a hidden page closes its stream.
const INACTIVITY_SECONDS = 120;
const FLAGS = '/v1/evaluate/flags';
const EVENTS = '/v1/events';

/** Ready to be registered under a prefix. */
export function ofrepProtocol(ports: ProtocolPorts, options: OfrepOptions = {}): FastifyPluginCallback {
  return (app, _options, done) => {
    const streams = openEventStreams({ maxStreams: options.maxStreams ?? MAX_STREAMS });
    const secret = ports.secretFor('ofrep event streams');
    const eventStreamsAt = latestEventStreams(secret, `${app.prefix}${EVENTS}`);
    const protocol: Protocol = { ports, streams, secret, answersOf: latestAnswers(), eventStreamsAt };
    const stop = ports.world.onChange((state) => streams.send(Buffer.from(refetchEvent(state, ports.clock.nowMs()))));
    app.addHook('preClose', async () => {
      stop();
      streams.close();
    });
    readJsonBodies(app, MAX_BODY_BYTES);
    allowBrowsers(app, 'GET, POST');
    answerErrors(app, ports.log);
    addSingle(app, protocol);
    addBulk(app, protocol);
    addEvents(app, protocol);
    done();
  };
}

interface Protocol {
  readonly ports: ProtocolPorts;
  readonly streams: EventStreams;
  /** Signs the addresses of event streams. */
  readonly secret: Uint8Array;
  /** The same answers for the same state. */
  readonly answersOf: (state: FlagState) => FlagAnswers;
  /** Where changes are heard of, as bulk answers say it. */
  readonly eventStreamsAt: (place: StreamPlace) => string;
}

function latestAnswers(): Protocol['answersOf'] {
  let latest: FlagAnswers | undefined;
  return (state) => {
    if (latest?.state !== state) latest = openFlagAnswers(state);
    return latest;
  };
}

type KeyParams = { readonly Params: { readonly '*'?: string } };

/** What was wrong, in OFREP's words; SDKs for Python cannot do without the details. */
function answerErrors(app: FastifyInstance, log: ProtocolPorts['log']): void {
  app.setErrorHandler<Error, KeyParams>((error, request, reply) => {
    const refusal = refusalOf(error, log);
    setRefusalHeaders(reply, refusal);
    const key = request.routeOptions.url === `${app.prefix}${FLAGS}/*` ? request.params['*'] : undefined;
    const body = { errorCode: errorCodeOf(refusal), errorDetails: refusal.message };
    // A body that cannot be used is a bad evaluation request, whatever is wrong with it.
    const status = refusal.status === 413 || refusal.status === 415 ? 400 : refusal.status;
    return reply.status(status).send(key === undefined ? body : { key, ...body });
  });
  app.setNotFoundHandler(async ({ method, url }) => {
    throw new AppError('request.not_found', `there is nothing at ${method} ${url.split('?', 1)[0] ?? ''} in OFREP`);
  });
}

function errorCodeOf({ status }: Refusal): string {
  return status === 400 || status === 413 || status === 415 ? 'PARSE_ERROR' : 'GENERAL';
}

/** A wildcard, as a flag's key may have a slash that some SDKs do not escape. */
function addSingle(app: FastifyInstance, protocol: Protocol): void {
  app.post<KeyParams & { Body: JsonBody | undefined }>(`${FLAGS}/*`, async (request, reply) => {
    const { state } = await enter(request, protocol);
    const key = request.params['*'] ?? '';
    const { status, open } = singleAnswer(key, { state, request, protocol });
    const revision = `"revision":${state.revision}`;
    reply.type('application/json; charset=utf-8').status(status);
    return reply.send(status === 200 ? `${open},${revision}}}` : `${open},"metadata":{${revision}}}`);
  });
}

interface Asked {
  readonly state: FlagState;
  readonly request: FastifyRequest<{ Body: JsonBody | undefined }>;
  readonly protocol: Protocol;
}

function singleAnswer(key: string, { state, request, protocol }: Asked): FlagAnswer {
  const reading = readContext(request.body?.value, state.environment);
  if (reading.outcome === 'invalid') return failure(key, 'INVALID_CONTEXT', reading.message);
  return protocol.answersOf(state).answer(key, { ...reading, atMs: protocol.ports.clock.nowMs() });
}

function addBulk(app: FastifyInstance, protocol: Protocol): void {
  app.post<{ Body: JsonBody | undefined }>(FLAGS, async (request, reply) => {
    const { state } = await enter(request, protocol);
    const reading = readContext(request.body?.value, state.environment);
    if (reading.outcome === 'invalid') {
      return reply.status(400).send({ errorCode: 'INVALID_CONTEXT', errorDetails: reading.message });
    }
    const atMs = protocol.ports.clock.nowMs();
    const answers = protocol.answersOf(state);
    const flags = answers.keys.map((key) => closed(answers.answer(key, { ...reading, atMs }))).join(',');
    const version = versionOf(state, atMs);
    // Another one for every context, revision and answer, as SDKs keep theirs when the context changes; and another one when
    // the stream's address is renewed, so that who is told "not modified" has an address that still opens.
    const tag = tagOf(version, String(windowAt(atMs)), flags, request.body?.bytes ?? '');
    reply.header('etag', quoted(tag));
    if (tagsOf(request.headers['if-none-match']).includes(tag)) return reply.status(304).send();
    const eventStreams = protocol.eventStreamsAt({ environment: state.environment, version, atMs });
    const metadata = JSON.stringify({ revision: state.revision, environment: state.environment });
    const text = `{"flags":[${flags}],"eventStreams":${eventStreams},"metadata":${metadata}}`;
    return reply.type('application/json; charset=utf-8').send(text);
  });
}

/** A flag's own metadata stays as it is while the flag does: SDKs compare answers to say which flags have changed. */
function closed({ status, open }: FlagAnswer): string {
  return status === 200 ? `${open}}}` : `${open}}`;
}

interface StreamPlace {
  readonly environment: string;
  readonly version: string;
  readonly atMs: number;
}

/** The same for all who ask about the same version within one window: when thousands refetch, signing for each would be what takes longest. */
function latestEventStreams(secret: Uint8Array, eventsAt: string): Protocol['eventStreamsAt'] {
  let latest: { readonly about: string; readonly text: string } | undefined;
  return ({ environment, version, atMs }) => {
    const about = JSON.stringify([environment, version, windowAt(atMs)]);
    if (latest?.about !== about) {
      const query = new URLSearchParams({ token: signStreams(secret, environment).issue(atMs), since: version });
      const endpoint = { requestUri: `${eventsAt}?${query.toString()}` };
      latest = { about, text: JSON.stringify([{ type: 'sse', endpoint, inactivityDelaySec: INACTIVITY_SECONDS }]) };
    }
    return latest.text;
  };
}

type EventsRequest = FastifyRequest<{ Querystring: { readonly token?: unknown; readonly since?: unknown } }>;

/** Who has seen something older, as its last event or the answer that named the stream says, is told at once. */
function addEvents(app: FastifyInstance, { ports, streams, secret }: Protocol): void {
  const open = async ({ query, headers }: EventsRequest, reply: FastifyReply): Promise<void> => {
    const state = stateOf(ports);
    const atMs = ports.clock.nowMs();
    const token = typeof query.token === 'string' ? query.token : '';
    if (!signStreams(secret, state.environment).isValid(token, atMs)) {
      throw new AppError(
        'auth.invalid_token',
        'the address of the event stream is too old; ask for the flags again to get a new one',
      );
    }
    const seen = [headers['last-event-id']].flat()[0] ?? query.since;
    const isBehind = seen !== versionOf(state, atMs);
    streams.open(reply, isBehind ? refetchEvent(state, atMs) : '');
  };
  app.get(EVENTS, { exposeHeadRoute: false }, open);
}

function refetchEvent(state: FlagState, atMs: number): string {
  const version = versionOf(state, atMs);
  const data = JSON.stringify({ type: 'refetchEvaluation', etag: version, lastModified: Math.floor(atMs / 1000) });
  return `id: ${version}\nevent: message\ndata: ${data}\n\n`;
}

/** Everything that a request with a key begins with. */
async function enter({ headers }: FastifyRequest, { ports }: Protocol): Promise<Admission> {
  const bearer = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const secret = bearer ?? [headers['x-api-key']].flat()[0] ?? '';
  const admission = await admit(ports, {
    secrets: secret === '' ? [] : [secret],
    place: 'the header "Authorization: Bearer …" or "X-API-Key"',
  });
  const sdk = headers['user-agent'] ?? 'unknown';
  ports.sighted({ family: 'ofrep', sdk, application: admission.key.name, isLocal: false });
  return admission;
}
