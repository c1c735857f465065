/** Ending the control API: what has begun is answered, and nobody who keeps a connection open can hold the process back. */
import type { FastifyInstance } from 'fastify';
import { watchSilentConnections } from '../silent-connections.ts';

// Connections become idle, or are opened ahead of requests, until the very last moment.
const SWEEP_MS = 100;
// Below the 30 s after which container runtimes kill: a gateway in the same process has drained before.
const LIMIT_MS = 10_000;

/** @returns ends the server; resolves when the last connection is gone, after 10 s at the latest */
export function endOf(app: FastifyInstance): () => Promise<void> {
  const silent = watchSilentConnections(app.server);
  return async () => {
    const sweep = setInterval(() => {
      silent.cut();
      app.server.closeIdleConnections();
    }, SWEEP_MS);
    const limit = setTimeout(() => app.server.closeAllConnections(), LIMIT_MS);
    try {
      await app.close();
    } finally {
      clearInterval(sweep);
      clearTimeout(limit);
    }
  };
}
