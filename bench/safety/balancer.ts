// A load balancer as small as can be: takes turns among the servers whose readiness says 200, and retries nothing.
import { Agent, createServer, get, request } from 'node:http';
import { once } from 'node:events';

export interface Balancer {
  readonly origin: string;
  /** Which servers get requests now. */
  readonly ready: () => readonly string[];
  /** What went wrong between it and the servers, and how often. */
  readonly problems: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

// Common balancers look every second or two and take a server out at the second failure; the grace is as much shorter.
const LOOK_EVERY_MS = 50;

interface Backend {
  readonly origin: string;
  readonly agent: Agent;
  isReady: boolean;
}

export async function startBalancer(origins: readonly string[]): Promise<Balancer> {
  const backends = origins.map((origin): Backend => ({ origin, agent: new Agent({ keepAlive: true }), isReady: false }));
  const problems = new Map<string, number>();
  const note = (problem: string): void => {
    problems.set(problem, (problems.get(problem) ?? 0) + 1);
  };
  let turn = 0;
  const server = createServer((req, res) => {
    const ready = backends.filter(({ isReady }) => isReady);
    const backend = ready[turn++ % Math.max(1, ready.length)];
    if (backend === undefined) {
      note('no server is ready');
      res.writeHead(502).end();
      return;
    }
    const { headers, method = 'GET', url = '/' } = req;
    const onward = request(`${backend.origin}${url}`, { method, headers, agent: backend.agent }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    onward.on('error', (error) => {
      note(
        `${error.message}${onward.reusedSocket ? ' on a kept connection' : ''}${backend.isReady ? '' : ' of a server that is not ready any more'}`,
      );
      if (res.headersSent) res.destroy();
      else res.writeHead(502).end();
    });
    req.pipe(onward);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const look = setInterval(() => {
    for (const backend of backends) void lookAt(backend);
  }, LOOK_EVERY_MS);
  const address = server.address();
  return {
    origin: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    ready: () => backends.filter(({ isReady }) => isReady).map(({ origin }) => origin),
    problems,
    async close() {
      clearInterval(look);
      server.close();
      server.closeAllConnections();
      for (const { agent } of backends) agent.destroy();
      await once(server, 'close');
    },
  };
}

function lookAt(backend: Backend): Promise<void> {
  return new Promise((resolve) => {
    const end = (isReady: boolean): void => {
      backend.isReady = isReady;
      resolve();
    };
    const probe = get(`${backend.origin}/readyz`, { agent: false, timeout: 1000 }, (answer) => {
      answer.resume();
      end(answer.statusCode === 200);
    });
    probe.on('error', () => end(false));
    probe.on('timeout', () => probe.destroy());
  });
}
