// Many connections that follow the snapshot feed, and when each of them has a change. Started by `fan-out.ts`.
import { connect } from 'node:net';
import { monotonicMs } from '../streaming/messages.ts';

/** Argument of the process, as JSON. */
export interface FollowersRequest {
  readonly origin: string;
  readonly token: string;
  readonly connections: number;
}

/** When each connection had the whole event, in ms of the machine's monotonic clock. */
export interface Followed {
  readonly atMs: readonly number[];
  readonly closed: number;
}

const { origin, token, connections } = JSON.parse(process.argv[2] ?? '') as FollowersRequest;
const { hostname, port } = new URL(origin);
const EVENT = Buffer.from('event: snapshot');
const END = Buffer.from('\n\n');
const OPENED_AT_ONCE = 100;

let isWaiting = false;
let closed = 0;
let atMs: number[] = [];

/** One connection: a change is there when the end of its event is. */
function follow(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let isInEvent = false;
    let isOpen = false;
    socket.write(`GET /gateways/v1/stream HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${token}\r\n\r\n`);
    socket.on('data', (bytes: Buffer) => {
      const begins = bytes.indexOf(EVENT);
      if (begins !== -1) isInEvent = true;
      if (!isInEvent || bytes.indexOf(END, Math.max(0, begins)) === -1) return;
      isInEvent = false;
      if (isWaiting) {
        atMs.push(monotonicMs());
        tellWhenAllHeard();
      } else if (!isOpen) {
        isOpen = true;
        resolve();
      }
    });
    socket.on('close', () => {
      closed += 1;
      resolve();
      if (isWaiting) tellWhenAllHeard();
    });
    socket.on('error', () => socket.destroy());
  });
}

/** One that was lost hears nothing more, and is a row of its own. */
function tellWhenAllHeard(): void {
  if (atMs.length < connections - closed) return;
  isWaiting = false;
  process.send?.({ atMs, closed } satisfies Followed);
  atMs = [];
}

for (let opened = 0; opened < connections; opened += OPENED_AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(OPENED_AT_ONCE, connections - opened) }, follow));
}
process.send?.({ atMs: [], closed } satisfies Followed);
process.on('message', () => {
  isWaiting = true;
  tellWhenAllHeard();
});
process.once('disconnect', () => process.exit(0));
