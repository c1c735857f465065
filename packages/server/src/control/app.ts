/** The control API as a server. `compose-control.ts` opens it; everything it needs comes in through the options and ports. */
import { randomUUID } from 'node:crypto';
import { fastify, type FastifyInstance, type FastifyPluginCallback } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import type { CommandContext } from '../commands/command.ts';
import { guardAccess } from './access.ts';
import { setAnswerHeaders } from './answer-headers.ts';
import { answerBrokenRequest } from './broken-request.ts';
import { answerError, type ControlLog } from './error-answer.ts';
import type { FeedbackIntake } from './feedback.ts';
import type { FlagFeed } from './flag-feed.ts';
import { readJsonBodies } from './json-body.ts';
import type { Observations } from './observations.ts';
import { describeApi } from './openapi.ts';
import type { ArtifactIntake, CheckDesk, EngineWindow, HookDesk, MetricsPage } from './ports.ts';
import { addProbes } from './probes.ts';
import { compileRequestSchema } from './request-schema.ts';
import { addRoutes } from './routes.ts';
import { endOf } from './server-end.ts';
import type { SdkSightings } from './sdk-sightings.ts';
import { explainUnknown, type KnownRoute } from './unknown-route.ts';
import { ownListeners } from './upstream-address.ts';

export interface ControlOptions {
  readonly environment: string;
  /** The release of this program, for people. */
  readonly release: string;
  /** Every port that this process listens on; no version may have one of them on this machine as its address. */
  readonly ownPorts: readonly number[];
  /** Shows /metrics to everybody; otherwise it takes a token that may read. */
  readonly openMetrics?: boolean;
  /** Largest artifact that is taken, in bytes; 2 GiB when left out. */
  readonly maxUploadBytes?: number;
}

export interface ControlPorts extends Pick<CommandContext, 'store' | 'clock'> {
  readonly engine: EngineWindow;
  readonly artifacts: ArtifactIntake;
  readonly metrics: MetricsPage;
  readonly log: ControlLog;
  readonly observations: Observations;
  readonly feedback: FeedbackIntake;
  readonly checks: CheckDesk;
  readonly sdks: Pick<SdkSightings, 'list'>;
  readonly flags: Pick<FlagFeed, 'now' | 'refresh'>;
  readonly hooks: HookDesk;
  readonly protocols: readonly MountedProtocol[];
}

/** A flag protocol at its place. It lets SDKs in by keys of their own, and bounds its bodies itself. */
export interface MountedProtocol {
  /** Such as `/unleash`; one part, and no other address begins with it. */
  readonly prefix: string;
  readonly plugin: FastifyPluginCallback;
}

export interface ControlApi {
  /** Answers requests. @returns the address, with the port that was chosen when 0 was asked for */
  listen(place: { readonly host: string; readonly port: number }): Promise<string>;
  /** Says on /readyz that no more requests should come, and goes on answering. */
  drain(): void;
  /** Answers what has begun and stops. */
  close(): Promise<void>;
  /** Answers a request without a network; for tests. */
  readonly inject: FastifyInstance['inject'];
}

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_UPLOAD_BYTES = 2 * 1024 ** 3;

/** Ready to listen when it resolves; a route that declares no access makes it reject. */
export async function openControlApi(options: ControlOptions, ports: ControlPorts): Promise<ControlApi> {
  const { environment, release } = options;
  const { store, clock, engine, artifacts, metrics, log, observations, feedback, checks, sdks, flags, hooks, protocols } = ports;
  let isDraining = false;
  const app = openServer(log);
  const end = endOf(app);
  app.addHook('onRequest', async (request, reply) => {
    setAnswerHeaders(request, reply);
    if (isDraining) reply.header('connection', 'close');
  });
  guardAccess(app, { store, environment, clock, sdkPrefixes: protocols.map(({ prefix }) => prefix) });
  explainRoutes(app);
  readJsonBodies(app);
  await describeApi(app, release);
  const metricsAccess = options.openMetrics === true ? 'public' : 'read';
  addProbes(app, { store, environment, metrics, metricsAccess, isDraining: () => isDraining });
  const own = ownListeners(options.ownPorts);
  const reporting = { observations, feedback, sdks };
  const context = { environment, release, store, clock, engine, artifacts, own, ...reporting, checks, flags, hooks };
  await addRoutes(app, { context, maxUploadBytes: options.maxUploadBytes ?? MAX_UPLOAD_BYTES });
  for (const { prefix, plugin } of protocols) await mount(app, prefix, plugin);
  await app.ready();
  return {
    listen: (place) => app.listen(place),
    drain: () => {
      isDraining = true;
    },
    close: end,
    inject: app.inject.bind(app),
  };
}

/** The description of the API leaves out what is described elsewhere, by whom the protocol belongs to. */
async function mount(app: FastifyInstance, prefix: string, plugin: FastifyPluginCallback): Promise<void> {
  const wrapped = async (scope: FastifyInstance): Promise<void> => {
    scope.addHook('onRoute', (route) => {
      route.schema = { ...route.schema, hide: true };
    });
    await scope.register(plugin);
  };
  await app.register(wrapped, { prefix });
}

function openServer(log: ControlLog): FastifyInstance {
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    genReqId: () => randomUUID(),
    forceCloseConnections: 'idle',
    // A request that comes before its connection is closed is answered as ever; the store closes after the last of them.
    return503OnClosing: false,
    // Above the idle limit of common load balancers, so that they close first and never write into a closed connection.
    keepAliveTimeout: 75_000,
    // Bounds an upload; smaller requests are bounded by their route.
    requestTimeout: 3_600_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 1000 },
    // Names have at most 63 characters; the schemas say so in better words than the router.
    routerOptions: { maxParamLength: 500 },
    clientErrorHandler: answerBrokenRequest,
    // Errors of the router are the only others that no hook sees.
    frameworkErrors: (error, request, reply) => {
      setAnswerHeaders(request, reply);
      answerError(log, error, { request, reply });
    },
  });
  app.setValidatorCompiler(compileRequestSchema);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => answerError(log, error, { request, reply }));
  return app;
}

/** Notes the routes that are added afterwards, to say something helpful about every other address. */
function explainRoutes(app: FastifyInstance): void {
  const routes: KnownRoute[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push({ method: one, url });
  });
  app.setNotFoundHandler(async (request, reply) => {
    const { error, allow } = explainUnknown(routes, request.method, request.url);
    if (allow !== undefined) reply.header('allow', allow);
    throw error;
  });
}
