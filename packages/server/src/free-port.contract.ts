/** Finds a port for a server that a test starts. */
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Free on the loopback address at the time of the answer; nothing reserves it. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}
