/** The protocol that LaunchDarkly's server-side SDKs speak: streams, polls and events. Registered by `compose-control.ts`. */
import type { FastifyPluginCallback } from 'fastify';
import { mayStay } from '../edge/key-check.ts';
import type { ProtocolPorts } from '../flag-world.ts';
import { addDocumentRoutes } from './document-routes.ts';
import { openEditions } from './editions.ts';
import { addEventRoutes } from './event-routes.ts';
import { admitKey } from './key-guard.ts';
import { answerProblem, answerUnknownAddress } from './problem-answer.ts';
import { sightingOf } from './sighting.ts';
import { openStreams, STREAM_LIMITS, type StreamLimits } from './streams.ts';

/** To be registered under a prefix, which SDKs get as base, stream and events URI. */
export function launchdarklyProtocol(ports: ProtocolPorts, limits: StreamLimits = STREAM_LIMITS): FastifyPluginCallback {
  return (app, _options, done) => {
    const streams = openStreams(limits, { log: ports.log, isWelcome: (secret) => mayStay(ports, secret) });
    const editions = openEditions(ports, streams);
    // Before the server waits for its connections to end: streams never do by themselves.
    app.addHook('preClose', (closed) => {
      editions.close();
      streams.close();
      closed();
    });
    app.setErrorHandler((error, _request, reply) => answerProblem(ports.log, error, reply));
    app.setNotFoundHandler(answerUnknownAddress);
    app.get('/status', async (_request, reply) => {
      const isReady = ports.world.now() !== undefined;
      return await reply.status(isReady ? 200 : 503).send({ status: isReady ? 'healthy' : 'starting' });
    });
    void app.register((guarded, _none, registered) => {
      guarded.addHook('onRequest', async ({ headers }) => {
        // Events as well: an SDK that streams asks for nothing else for days.
        ports.sighted(sightingOf(headers, await admitKey(headers.authorization, ports)));
      });
      addDocumentRoutes(guarded, ports, { editions, streams });
      addEventRoutes(guarded, ports, editions);
      registered();
    });
    done();
  };
}
