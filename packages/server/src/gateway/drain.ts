/** Ending without dropping a request: first say so, then stop taking connections, then wait for what is in work. */
import type { Server } from 'node:http';
import type { SilentConnections } from '../silent-connections.ts';
import type { Timers } from './timers.ts';

export interface DrainOptions {
  /** Time for load balancers to notice that `/readyz` says 503. */
  readonly graceMs: number;
  /** After so long the rest is cut off. */
  readonly limitMs: number;
  /** Connections that were opened ahead of a request, which nobody has to be waited for on. */
  readonly silent: SilentConnections;
  /** Answers say `Connection: close` from here on. */
  onClosing(): void;
}

// Idle connections come and go while requests end; looking ten times a second is what the recipe was measured with.
const SWEEP_MS = 100;

/**
 * Closes a server as rule R13 says: `/readyz` is 503 already; serve on for the grace, answer with `Connection: close`,
 * take no new connection, sweep idle ones until the last request has ended.
 * @returns whether every request could end by itself
 */
export async function drainServer(server: Server, timers: Timers, options: DrainOptions): Promise<boolean> {
  await pause(timers, options.graceMs);
  options.onClosing();
  const closed = Promise.withResolvers<void>();
  let isClosed = false;
  let isCut = false;
  server.close(() => {
    isClosed = true;
    closed.resolve();
  });
  const sweep = (): void => {
    if (isClosed) return;
    server.closeIdleConnections();
    options.silent.cut();
    timers.after(SWEEP_MS, sweep);
  };
  sweep();
  const cancelLimit = timers.after(options.limitMs, () => {
    isCut = true;
    server.closeAllConnections();
  });
  await closed.promise;
  cancelLimit();
  return !isCut;
}

function pause(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(ms, resolve);
  });
}
