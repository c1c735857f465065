/** What gateways elsewhere live on: the snapshot to poll or as a stream, model files, and where they report. `compose-control.ts` serves it under `/gateways`. */
import type { Readable } from 'node:stream';
import { GATEWAY_FEED_FORMAT, type GatewayDocument } from '@understudy/contract/gateway-feed';
import { describeProblems } from '@understudy/contract/problems';
import { type GatewayReport, GatewayReportSchema } from '@understudy/contract/report';
import { AppError } from '@understudy/core/errors';
import type { Snapshot } from '@understudy/core/snapshot';
import type { Token } from '@understudy/core/token';
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import { openAuthentication, ownTokenOf } from '../../authentication.ts';
import type { Clock } from '../../clock.ts';
import { type Edition, editionOf, sendEdition } from '../edge/edition.ts';
import { type EventStreams, MAX_STREAMS, openEventStreams } from '../edge/event-streams.ts';
import { type JsonBody, readJsonBodies } from '../edge/json-body.ts';
import { refusalOf, setRefusalHeaders } from '../edge/refusal.ts';
import type { ProtocolPorts } from '../flag-world.ts';

export interface GatewayProtocolPorts extends Pick<ProtocolPorts, 'log'> {
  readonly snapshots: {
    /** As the gateway of this process has it: the present snapshot at once, later ones as they come, and each time they are confirmed. */
    subscribe(follower: { take(snapshot: Snapshot): unknown; present(revision: number): void }): () => void;
  };
  /** Counts once, however often it comes. */
  takeReport(report: GatewayReport): Promise<unknown>;
  /** A model file; undefined when this control plane does not have it. */
  artifact(sha256: string): Promise<{ readonly bytes: number; readonly stream: Readable } | undefined>;
  /** Signs request ids, so that any control plane can tell what feedback is about. */
  readonly requestIdKey: Uint8Array;
  readonly clock: Clock;
}

export interface GatewayProtocolOptions {
  readonly maxStreams?: number;
}

// A gateway that hears nothing for a few of them looks for another control plane.
const HEARTBEAT_MS = 2000;
// Ten thousand blocks of evidence.
const MAX_REPORT_BYTES = 64 * 1024 * 1024;

interface Protocol {
  readonly ports: GatewayProtocolPorts;
  readonly streams: EventStreams;
  readonly enter: (request: FastifyRequest) => Token;
  readonly edition: () => Edition;
}

/** Ready to be registered under a prefix. */
export function gatewaysProtocol(ports: GatewayProtocolPorts, options: GatewayProtocolOptions = {}): FastifyPluginCallback {
  return (app, _options, done) => {
    const authentication = openAuthentication(ports.clock, false);
    let edition: Edition | undefined;
    let revision = -1;
    const enter = ({ headers }: FastifyRequest): Token => {
      const { token } = authentication.authenticate(headers.authorization, 'gateway');
      if (token === undefined) throw new AppError('auth.missing_token', 'a token with the scope "gateway" is needed');
      return token;
    };
    const streams = openEventStreams({
      maxStreams: options.maxStreams ?? MAX_STREAMS,
      heartbeatMs: HEARTBEAT_MS,
      isWelcome: (secret) => Promise.resolve(isWelcome(secret, authentication)),
    });
    const stop = ports.snapshots.subscribe({
      take(snapshot) {
        authentication.use(snapshot.tokens);
        const next = editionOf(snapshot.revision, documentOf(snapshot, ports.requestIdKey));
        revision = snapshot.revision;
        if (next.id === edition?.id) return;
        edition = next;
        streams.send(next.event);
      },
      present(confirmed) {
        // Heartbeats only say that this process lives; this says that the store does.
        if (confirmed === revision && edition !== undefined) streams.send(edition.confirmation);
      },
    });
    app.addHook('preClose', async () => {
      stop();
      streams.close();
    });
    app.setErrorHandler((error, _request, reply) => {
      const refusal = refusalOf(error, ports.log);
      setRefusalHeaders(reply, refusal);
      return reply.status(refusal.status).send({ error: { code: refusal.code, message: refusal.message } });
    });
    readJsonBodies(app, MAX_REPORT_BYTES);
    const present = (): Edition => {
      if (edition === undefined) throw new AppError('snapshot.missing', 'there is no snapshot yet; try again in a moment');
      return edition;
    };
    const protocol: Protocol = { ports, streams, enter, edition: present };
    addSnapshot(app, protocol);
    addStream(app, protocol);
    addReports(app, protocol);
    addArtifacts(app, protocol);
    done();
  };
}

function documentOf(snapshot: Snapshot, requestIdKey: Uint8Array): GatewayDocument {
  return { format: GATEWAY_FEED_FORMAT, snapshot, requestIdKey: Buffer.from(requestIdKey).toString('base64url') };
}

function addSnapshot(app: FastifyInstance, { enter, edition }: Protocol): void {
  app.get('/v1/snapshot', async (request, reply) => {
    enter(request);
    return await sendEdition(request, reply, edition());
  });
}

/** Begins with the whole document, unless the caller says that it has the present one. */
function addStream(app: FastifyInstance, { enter, edition, streams }: Protocol): void {
  app.get('/v1/stream', { exposeHeadRoute: false }, async (request: FastifyRequest, reply: FastifyReply) => {
    enter(request);
    const { id, event, confirmation } = edition();
    const seen = [request.headers['last-event-id']].flat()[0];
    streams.open(reply, seen === id ? confirmation : event, request.headers.authorization);
  });
}

function addReports(app: FastifyInstance, { ports, enter }: Protocol): void {
  app.post<{ Body: JsonBody | undefined }>('/v1/reports', { bodyLimit: MAX_REPORT_BYTES }, async (request, reply) => {
    const token = enter(request);
    const parsed = GatewayReportSchema.safeParse(request.body?.value);
    if (!parsed.success) {
      throw new AppError('request.invalid', `the report cannot be used: ${describeProblems(parsed.error)}`);
    }
    assertSpeaksFor(token, parsed.data.gateway);
    await ports.takeReport(parsed.data);
    return reply.status(204).send();
  });
}

/**
 * A token speaks for the gateway that it is named after, and for those whose names begin with its name and a "-" or ".": what
 * one gateway says can then not be said in the name of another one. Whoever is admin may speak for all.
 */
function assertSpeaksFor({ name, scopes }: Token, gateway: string): void {
  if (scopes.includes('admin') || gateway === name || gateway.startsWith(`${name}-`) || gateway.startsWith(`${name}.`)) return;
  throw new AppError(
    'auth.forbidden',
    `token "${name}" speaks for gateways called "${name}" or "${name}-…", and this one is called "${gateway}": start it with ` +
      `--gateway-name ${name}-1, or create a token for it (understudy token create ${gateway} --scope gateway)`,
  );
}

function addArtifacts(app: FastifyInstance, { ports, enter }: Protocol): void {
  app.get<{ Params: { readonly sha256: string } }>('/v1/artifacts/:sha256', async (request, reply) => {
    enter(request);
    const found = await ports.artifact(request.params.sha256);
    if (found === undefined) {
      throw new AppError(
        'artifact.not_found',
        `this control plane does not have the file ${request.params.sha256.slice(0, 64)}: control planes of one store need one folder of model files (--data)`,
      );
    }
    return reply.type('application/octet-stream').header('content-length', found.bytes).send(found.stream);
  });
}

/** Whether a stream may stay open. */
function isWelcome(authorization: string, authentication: ReturnType<typeof openAuthentication>): boolean {
  if (ownTokenOf(authorization) === undefined) return false;
  try {
    authentication.authenticate(authorization, 'gateway');
    return true;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}
