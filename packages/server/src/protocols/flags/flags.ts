/** What our own SDK evaluates from: all documents of an environment, to poll or as a stream. `compose-control.ts` serves it under `/flags`. */
import { AppError } from '@understudy/core/errors';
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import { type Admission, admit } from '../edge/admission.ts';
import { type Edition, sendEdition } from '../edge/edition.ts';
import { type EventStreams, MAX_STREAMS, openEventStreams } from '../edge/event-streams.ts';
import { refusalOf, setRefusalHeaders } from '../edge/refusal.ts';
import type { ProtocolPorts } from '../flag-world.ts';
import { latestEdition } from './snapshot-edition.ts';

export interface FlagsProtocolOptions {
  readonly maxStreams?: number;
}

interface Protocol {
  readonly ports: ProtocolPorts;
  readonly streams: EventStreams;
  readonly editionOf: ReturnType<typeof latestEdition>;
}

/** Ready to be registered under a prefix. Other addresses under it stay unknown to the server as they were. */
export function flagsProtocol(ports: ProtocolPorts, options: FlagsProtocolOptions = {}): FastifyPluginCallback {
  return (app, _options, done) => {
    const streams = openEventStreams({
      maxStreams: options.maxStreams ?? MAX_STREAMS,
      isWelcome: (secret) => mayStay(secret, ports),
    });
    const protocol: Protocol = { ports, streams, editionOf: latestEdition() };
    const stop = announceChanges(protocol);
    app.addHook('preClose', async () => {
      stop();
      streams.close();
    });
    app.setErrorHandler((error, _request, reply) => {
      const refusal = refusalOf(error, ports.log);
      setRefusalHeaders(reply, refusal);
      const code = error instanceof AppError ? error.code : refusal.status === 500 ? 'internal' : 'request.invalid';
      return reply.status(refusal.status).send({ error: { code, message: refusal.message } });
    });
    addSnapshot(app, protocol);
    addStream(app, protocol);
    done();
  };
}

/** The beginning of a schedule is no news here: SDKs have the schedule and a clock. */
function announceChanges({ ports, streams, editionOf }: Protocol): () => void {
  const now = ports.world.now();
  let sent = now === undefined ? undefined : editionOf(now).id;
  return ports.world.onChange((state) => {
    const { id, event } = editionOf(state);
    if (id === sent) return;
    sent = id;
    streams.send(event);
  });
}

function addSnapshot(app: FastifyInstance, protocol: Protocol): void {
  app.get('/v1/snapshot', async (request, reply) => {
    const { edition } = await enter(request, protocol);
    return await sendEdition(request, reply, edition);
  });
}

type StreamRequest = FastifyRequest<{ Querystring: { readonly since?: unknown } }>;

/** Begins with the whole document, unless the caller says that it has the present one. */
function addStream(app: FastifyInstance, protocol: Protocol): void {
  // Answers to HEAD would open streams.
  app.get('/v1/stream', { exposeHeadRoute: false }, async (request: StreamRequest, reply: FastifyReply) => {
    const { edition, secret } = await enter(request, protocol);
    const seen = [request.headers['last-event-id']].flat()[0] ?? request.query.since;
    protocol.streams.open(reply, seen === edition.id ? edition.confirmation : edition.event, secret);
  });
}

interface Entered {
  readonly edition: Edition;
  readonly secret: string;
}

/** Everything that a request begins with. */
async function enter({ headers }: FastifyRequest, { ports, editionOf }: Protocol): Promise<Entered> {
  const secret = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const presented = { secrets: secret === undefined ? [] : [secret], place: 'the header "Authorization: Bearer …"' };
  const { state, key }: Admission = await admit(ports, presented);
  if (key.use === 'client') {
    throw new AppError(
      'auth.forbidden',
      `the key "${key.name}" is for browsers, and the documents hold rules, pins and segments that nobody there may see: ` +
        'use openRemoteFlags of "@understudy/sdk/browser" with it, or an OpenFeature provider for OFREP; for a server, ' +
        'create a key with the scope "flags" (`understudy token create NAME --scope flags`)',
    );
  }
  const sdk = [headers['x-understudy-sdk']].flat()[0] ?? headers['user-agent'] ?? 'unknown';
  ports.sighted({ family: 'understudy', sdk, application: key.name, isLocal: true });
  return { edition: editionOf(state), secret: secret ?? '' };
}

/** Whether a stream may stay open: a key that cannot be looked up right now has not lost its rights. */
async function mayStay(secret: string, { keys }: ProtocolPorts): Promise<boolean> {
  const check = await keys.check(secret);
  return check.outcome === 'unavailable' || (check.outcome === 'known' && check.use === 'server');
}
