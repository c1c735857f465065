/** Whether a request says that it has a body, before anything of it is read. */
import type { IncomingMessage } from 'node:http';

export function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
