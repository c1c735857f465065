/** Time on which all processes of one store agree: that of the store's server, asked for now and then, and monotonic time in between. */
import type { Clock } from './clock.ts';

/** Where time is asked for. */
export interface ServerTime {
  /** Milliseconds since the epoch, by the server's clock. */
  serverMs(): Promise<number>;
}

export interface SharedClockPorts {
  readonly clock: Clock;
  readonly server: ServerTime;
  readonly timers: { after(ms: number, run: () => void): () => void };
  /** Told when the server did not say; the time goes on as it was. */
  readonly onFailure: (error: unknown) => void;
}

// The quickest of a few answers tells best when it was given.
const SAMPLES = 3;
// Clocks of machines drift apart by some milliseconds meanwhile.
const ASK_EVERY_MS = 60_000;

/**
 * A clock that is off the server's by at most half of a round trip, and never goes back.
 * @throws whatever the server's first answers throw: a process that does not know the time must not decide
 */
export async function openSharedClock(ports: SharedClockPorts): Promise<Clock & { close(): void }> {
  const { clock, timers, onFailure } = ports;
  let offsetMs = await offsetOf(ports);
  let lastMs = -Infinity;
  let cancel = plan();

  function plan(): () => void {
    return timers.after(ASK_EVERY_MS, () => {
      offsetOf(ports)
        .then((offset) => {
          offsetMs = offset;
        }, onFailure)
        .finally(() => {
          cancel = plan();
        });
    });
  }

  return {
    nowMs: () => (lastMs = Math.max(lastMs, clock.nowMs() + offsetMs)),
    close: () => cancel(),
  };
}

async function offsetOf({ clock, server }: Pick<SharedClockPorts, 'clock' | 'server'>): Promise<number> {
  let best = { tookMs: Infinity, offsetMs: 0 };
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const beganMs = clock.nowMs();
    const serverMs = await server.serverMs();
    const endMs = clock.nowMs();
    const tookMs = endMs - beganMs;
    if (tookMs < best.tookMs) best = { tookMs, offsetMs: serverMs - (beganMs + endMs) / 2 };
  }
  return best.offsetMs;
}
