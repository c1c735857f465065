/** A model server of a test, over a real socket, until the test ends. For the tests of this folder. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { onTestFinished } from 'vitest';
import { addressOf } from './http-server.ts';

/** Answers probes by itself. @returns its address */
export async function serve(predict: RequestListener): Promise<string> {
  const server = createServer((req, res) => {
    if (req.method === 'GET') res.end('{}');
    else predict(req, res);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${addressOf(server).port}`;
}
