/** The listening socket: parser limits, what the parser itself refuses, and one handler for everything else. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { GatheringRequest } from './gathering-request.ts';

/** Common load balancers keep idle connections for 60 s; ours must outlive theirs. */
export const KEEP_ALIVE_MS = 75_000;

// Limits of the attack list A12/A13.
const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 1000,
  keepAliveTimeout: KEEP_ALIVE_MS,
  requireHostHeader: true,
  insecureHTTPParser: false,
} as const;

// One more than is accepted, so that the excess is seen rather than cut off in silence.
const PARSED_HEADERS = 101;

/** Opens a server and waits until it listens. */
export async function listen(
  handle: (req: GatheringRequest, res: ServerResponse) => void,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Server> {
  const server = createServer({ ...LIMITS, IncomingMessage: GatheringRequest }, handle);
  server.maxHeadersCount = PARSED_HEADERS;
  // The body is asked for once the request was let in, and not before.
  server.on('checkContinue', handle);
  server.on('clientError', refuseUnparsed);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  await promise;
  server.off('error', reject);
  return server;
}

/** The address that a listening server has. */
export function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a TCP port');
  return address;
}

/** Answers what is no HTTP, and closes: where the next request would begin is unknown. */
function refuseUnparsed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, message] = refusalOf(error.code);
  const body = JSON.stringify({ error: { code: 'request.invalid', message } });
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/json',
    'x-understudy-error: request.invalid',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function refusalOf(code = ''): readonly [status: string, message: string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return ['431 Request Header Fields Too Large', 'the headers are larger than 16 kB'];
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return ['413 Payload Too Large', 'the chunk extensions are larger than 16 kB'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['408 Request Timeout', 'the request did not arrive in time'];
    default:
      return ['400 Bad Request', 'the request is not valid HTTP/1.1'];
  }
}
