// Finds free ports on the loopback address and waits until a server listens on one.
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningProcess } from './running-process.ts';

const READY_DEADLINE_MS = 30_000;
const POLL_MS = 50;

/** The port is free at the time of the answer; nothing reserves it. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** @throws Error with the server's own output when it ends or does not listen in time; it is stopped then */
export async function waitForPort(port: number, server: RunningProcess): Promise<void> {
  const deadlineMs = performance.now() + READY_DEADLINE_MS;
  while (!(await canConnect(port))) {
    if (!server.isRunning() || performance.now() > deadlineMs) {
      const problem = server.isRunning() ? `does not listen after ${READY_DEADLINE_MS} ms` : 'ended before it listened';
      await server.stop();
      throw new Error(`${server.name} ${problem}: ${server.output()}`);
    }
    await sleep(POLL_MS);
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
