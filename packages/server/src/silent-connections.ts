/** Connections on which nobody has asked for anything yet. Node does not take them for idle, so a server that ends would wait for them for ever. Gateway and control API depend on it. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Browsers and connection pools open connections ahead of their requests. */
export interface SilentConnections {
  /** Closes those that have not sent a byte. */
  cut(): void;
}

/** Watches a server from its first connection on. */
export function watchSilentConnections(server: Pick<Server, 'on'>): SilentConnections {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return {
    cut() {
      for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
    },
  };
}
