/** Unleash's protocol: its SDKs, unmodified, get our flags. `compose-control.ts` registers it under a prefix; the address to give SDKs is the prefix and `/api`. */
import type { FastifyPluginCallback } from 'fastify';
import { readJsonBodies } from '../edge/json-body.ts';
import type { ProtocolPorts } from '../flag-world.ts';
import { addClientRoutes } from './client-routes.ts';
import { openFeatureFeed } from './feature-feed.ts';
import { addFrontendRoutes } from './frontend-routes.ts';
import { answerProblem, UnleashProblem } from './problem.ts';
import { openStreamHub } from './stream-hub.ts';
import { openStreamInvitations } from './stream-invitations.ts';

export interface UnleashOptions {
  /** Asks polling SDKs that understand it to stream instead, so that changes reach them at once; default true. */
  readonly invitesToStream?: boolean;
  /** Beyond this many streams, SDKs are told to poll; default 10,000. */
  readonly maxStreams?: number;
  /** Default 15 s: Python's SDK takes a stream for broken after its request timeout, 30 s unless configured. */
  readonly heartbeatMs?: number;
  /** What a stream may be behind before it is cut; default 1 MiB. */
  readonly maxBehindBytes?: number;
  /**
   * Counts metrics of the frontend API as evidence; default false. Everybody has the key that is in a web page, so anybody
   * could report errors, and cause a rollback, or successes, and prevent one.
   */
  readonly believesBrowsers?: boolean;
}

// A report of 10,000 flags is about 1 MB. SDKs stop reporting for good when they are refused, so the limit is far off.
const MAX_BODY_BYTES = 5 * 1024 * 1024;
const MAX_INFLATED_BYTES = 20 * 1024 * 1024;

const ROUTES = 'GET /api/client/features, /api/client/delta, /api/client/streaming and /api/frontend';

export function unleashProtocol(ports: ProtocolPorts, options: UnleashOptions = {}): FastifyPluginCallback {
  const { invitesToStream = true, maxStreams = 10_000, heartbeatMs = 15_000 } = options;
  const { maxBehindBytes = 1024 * 1024, believesBrowsers = false } = options;
  return (app, _options, done) => {
    const feed = openFeatureFeed(ports);
    const hub = openStreamHub({ ...ports, feed }, { maxStreams, heartbeatMs, maxBehindBytes });
    const invitations = invitesToStream ? openStreamInvitations({ clock: ports.clock, hasRoom: hub.hasRoom }) : undefined;
    // Before the server waits for what is open: streams never end by themselves.
    app.addHook('preClose', (closed) => {
      hub.close();
      feed.close();
      closed();
    });
    readJsonBodies(app, MAX_BODY_BYTES, MAX_INFLATED_BYTES);
    app.setErrorHandler((error, _request, reply) => answerProblem(ports.log, error, reply));
    app.setNotFoundHandler((request, reply) => {
      const message = `there is no ${request.method} ${request.url.split('?', 1)[0]}; there are ${ROUTES}`;
      return answerProblem(ports.log, new UnleashProblem(404, message), reply);
    });
    addClientRoutes(app, { ports, feed, hub, invitations });
    addFrontendRoutes(app, ports, { believesBrowsers });
    app.get('/health', async (_request, reply) => {
      const isReady = ports.world.now() !== undefined;
      return reply.status(isReady ? 200 : 503).send({ health: isReady ? 'GOOD' : 'BAD' });
    });
    done();
  };
}
