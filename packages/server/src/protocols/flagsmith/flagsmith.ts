/** Flagsmith's API for its SDKs: remote and local evaluation, live updates, usage counts. `compose-control.ts` serves it under `/flagsmith`. */
import { randomUUID } from 'node:crypto';
import { AppError } from '@understudy/core/errors';
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import { type Admission, admit } from '../edge/admission.ts';
import { allowBrowsers } from '../edge/browser-access.ts';
import { type EventStreams, MAX_STREAMS, openEventStreams } from '../edge/event-streams.ts';
import { type JsonBody, readJsonBodies } from '../edge/json-body.ts';
import { refusalOf, setRefusalHeaders } from '../edge/refusal.ts';
import type { ProtocolPorts } from '../flag-world.ts';
import { type Environment, type Environments, followEnvironment } from './environment.ts';
import { exposuresOf } from './exposure.ts';
import { type Identity, identityOf } from './identity.ts';
import { environmentAnswer, identityAnswer } from './remote-flags.ts';

export interface FlagsmithOptions {
  readonly maxStreams?: number;
}

// Traits of one identity, or the counts of all flags: far more than any SDK sends.
const MAX_BODY_BYTES = 256 * 1024;
const SERVER_KEY_PREFIX = 'ser.';

/** Ready to be registered under a prefix. */
export function flagsmithProtocol(ports: ProtocolPorts, options: FlagsmithOptions = {}): FastifyPluginCallback {
  return (app, _options, done) => {
    const environments = followEnvironment(ports);
    const streams = openEventStreams({ maxStreams: options.maxStreams ?? MAX_STREAMS });
    const protocol: Protocol = { ports, environments, streams };
    const stop = ports.world.onChange((state) => streams.send(Buffer.from(updateEvent(environments.of(state)))));
    app.addHook('preClose', async () => {
      stop();
      streams.close();
    });
    readJsonBodies(app, MAX_BODY_BYTES);
    allowBrowsers(app, 'GET, POST');
    answerErrors(app, ports.log);
    addFlagRoutes(app, protocol);
    addDocumentRoute(app, protocol);
    addUsageRoute(app, protocol);
    addStreamRoute(app, protocol);
    done();
  };
}

interface Protocol {
  readonly ports: ProtocolPorts;
  readonly environments: Environments;
  readonly streams: EventStreams;
}

/** In the form of Flagsmith's own API. */
function answerErrors(app: FastifyInstance, log: ProtocolPorts['log']): void {
  app.setErrorHandler((error, _request, reply) => {
    const refusal = refusalOf(error, log);
    setRefusalHeaders(reply, refusal);
    return reply.status(refusal.status).send({ detail: refusal.message });
  });
  app.setNotFoundHandler(async ({ method, url }) => {
    throw new AppError('request.not_found', `there is nothing at ${method} ${url.split('?', 1)[0] ?? ''} in Flagsmith's API`);
  });
}

/** SDKs ask with a slash at the end, people without. */
function addressesOf(name: string): readonly string[] {
  return [`/api/v1/${name}/`, `/api/v1/${name}`];
}

function addFlagRoutes(app: FastifyInstance, protocol: Protocol): void {
  const { clock } = protocol.ports;
  const answerIdentity = async (request: FastifyRequest, identity: () => Identity): Promise<object> => {
    const { environment } = await enter(request, { protocol, isLocal: false });
    return identityAnswer(identity(), environment, clock.nowMs());
  };
  for (const url of addressesOf('flags')) {
    app.get(url, async (request) => {
      const { environment } = await enter(request, { protocol, isLocal: false });
      return environmentAnswer(environment, clock.nowMs());
    });
  }
  for (const url of addressesOf('identities')) {
    app.get<{ Querystring: { readonly identifier?: string | readonly string[] } }>(url, (request) => {
      const identifier = [request.query.identifier].flat()[0] ?? '';
      return answerIdentity(request, () => identityOf({ identifier }));
    });
    app.post<{ Body: JsonBody | undefined }>(url, (request) => answerIdentity(request, () => identityOf(request.body?.value)));
  }
}

/** All rules with everything that is in them: only for keys that do not end up in browsers. */
function addDocumentRoute(app: FastifyInstance, protocol: Protocol): void {
  for (const url of addressesOf('environment-document')) {
    app.get(url, async (request, reply) => {
      const { environment, key } = await enter(request, { protocol, isLocal: true });
      if (key.use !== 'server') {
        throw new AppError('auth.forbidden', 'the environment document is for server keys; this is a client key');
      }
      return reply.type('application/json; charset=utf-8').send(environment.document());
    });
  }
}

function addUsageRoute(app: FastifyInstance, protocol: Protocol): void {
  const { outcomes, clock, log } = protocol.ports;
  for (const url of addressesOf('analytics/flags')) {
    app.post<{ Body: JsonBody | undefined }>(url, async (request, reply) => {
      const { environment, key } = await enter(request, { protocol, isLocal: undefined });
      const report = { body: request.body?.value, state: environment.state, batch: randomUUID(), atMs: clock.nowMs() };
      const exposures = exposuresOf(report);
      if (exposures.outcomes.length > 0) await outcomes.report(exposures.outcomes);
      log.info({ key: key.name, ...counts(exposures) }, 'flagsmith.exposures_reported');
      return reply.status(200).send();
    });
  }
}

function counts({ outcomes, unattributed }: ReturnType<typeof exposuresOf>): object {
  return { attributed: outcomes.reduce((sum, { exposures }) => sum + exposures, 0), unattributed };
}

/** The address is all that an SDK presents here: a key, or the environment's own, which is in the document that it has. */
function addStreamRoute(app: FastifyInstance, protocol: Protocol): void {
  const { ports, environments, streams } = protocol;
  const open = async (request: FastifyRequest<{ Params: { readonly key: string } }>, reply: FastifyReply): Promise<void> => {
    const { key } = request.params;
    const state = ports.world.now();
    const isOwn = state !== undefined && environments.of(state).key === key;
    const environment = environments.of(
      isOwn ? state : (await admit(ports, { secrets: formsOf(key), place: 'a part of the address' })).state,
    );
    // An update at once: what changed while nobody listened is seen by its time.
    streams.open(reply, updateEvent(environment));
  };
  for (const url of ['/sse/environments/:key/stream', '/sse/environments/:key/stream/']) {
    app.get(url, { exposeHeadRoute: false }, open);
  }
}

/** In seconds, with a fraction. */
function updateEvent({ updatedAtMs }: Environment): string {
  return `event: environment_updated\ndata: ${JSON.stringify({ updated_at: updatedAtMs / 1000 })}\n\n`;
}

interface Entrance {
  readonly protocol: Protocol;
  /** Undefined: the request does not say. */
  readonly isLocal: boolean | undefined;
}

interface Entered extends Pick<Admission, 'key'> {
  readonly environment: Environment;
}

/** Everything that a request with a key begins with. */
async function enter(request: FastifyRequest, { protocol, isLocal }: Entrance): Promise<Entered> {
  const { ports, environments } = protocol;
  const [header = ''] = [request.headers['x-environment-key'] ?? ''].flat();
  const { key, state } = await admit(ports, {
    secrets: header === '' ? [] : formsOf(header),
    place: 'the header "X-Environment-Key"',
  });
  const sdk = request.headers['user-agent'] ?? 'unknown';
  if (isLocal !== undefined) ports.sighted({ family: 'flagsmith', sdk, application: key.name, isLocal });
  return { key, environment: environments.of(state) };
}

/** SDKs evaluate locally only with keys that begin with "ser."; ours may do so or have it put before them. */
function formsOf(key: string): readonly string[] {
  return key.startsWith(SERVER_KEY_PREFIX) ? [key, key.slice(SERVER_KEY_PREFIX.length)] : [key];
}
