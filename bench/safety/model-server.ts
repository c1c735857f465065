// A model server of the benchmarks: answers predictions, with limited capacity if wished, and can be told to fail.
import { createServer, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';

/** `dead`: nobody listens. `reset`: takes the request and breaks the connection off. `error`: 500. `hang`: never answers. */
export type Fault = 'dead' | 'reset' | 'error' | 'hang';

export interface ModelServer {
  readonly origin: string;
  fail(fault: Fault): Promise<void>;
  close(): Promise<void>;
}

/** How many requests it works on at once and for how long each; the rest waits in line, as servers let them. */
export interface Capacity {
  readonly workers: number;
  readonly serviceMs: number;
}

const ANSWER = '{"prediction":1}';

/**
 * @param capacity left out: answers at once
 * @param wantedPort 0 picks a free one
 */
export async function startModelServer(capacity?: Capacity, wantedPort = 0): Promise<ModelServer> {
  let fault: Fault | undefined;
  const work = openWork(capacity);
  const server = createServer((req, res) => {
    req.resume();
    if (req.method === 'GET') answer(res, '{}');
    else if (fault === 'reset') req.socket.resetAndDestroy();
    else if (fault === 'error') res.writeHead(500, { 'content-length': 0 }).end();
    else if (fault === undefined) work(() => answer(res, ANSWER));
  });
  server.keepAliveTimeout = 60_000;
  server.listen(wantedPort, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    origin: `http://127.0.0.1:${port}`,
    async fail(next) {
      fault = next;
      if (next === 'dead') await closeServer(server);
    },
    close: () => closeServer(server),
  };
}

function openWork(capacity: Capacity | undefined): (done: () => void) => void {
  if (capacity === undefined) return (done) => done();
  const waiting: (() => void)[] = [];
  let busy = 0;
  const start = (): void => {
    const done = busy < capacity.workers ? waiting.shift() : undefined;
    if (done === undefined) return;
    busy += 1;
    setTimeout(() => {
      busy -= 1;
      done();
      start();
    }, capacity.serviceMs);
  };
  return (done) => {
    waiting.push(done);
    start();
  };
}

function answer(res: ServerResponse, text: string): void {
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length }).end(text);
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
