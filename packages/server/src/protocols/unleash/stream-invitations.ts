/** Decides which polling SDKs are asked to stream instead, and lets those poll again whose streams do not last. */
import type { IncomingHttpHeaders } from 'node:http';

/** What is remembered of an SDK that was asked. */
interface Invited {
  readonly atMs: number;
  readonly openedAtMs: readonly number[];
}

export interface StreamInvitations {
  /** Whether a poll should be answered with the invitation; remembers that it was. */
  readonly invites: (headers: IncomingHttpHeaders) => boolean;
  /** Whether an SDK may open a stream. One that was asked to and keeps losing it may not: it polls, which works everywhere. */
  readonly admits: (headers: IncomingHttpHeaders) => boolean;
}

export interface InvitationPorts {
  readonly clock: { nowMs(): number };
  readonly hasRoom: () => boolean;
}

// Where something on the way breaks streams, an SDK goes back to polling and would be asked again with its next poll.
const INVITE_AGAIN_MS = 10 * 60_000;
// An SDK whose proxy swallows the stream opens it again after 60 s without data; a restart of ours is one opening or two.
const MOST_OPENINGS = 4;
const OPENINGS_WITHIN_MS = 5 * 60_000;
const MOST_REMEMBERED = 20_000;

export function openStreamInvitations({ clock, hasRoom }: InvitationPorts): StreamInvitations {
  const invited = new Map<string, Invited>();

  function remember(connection: string, what: Invited): void {
    invited.delete(connection);
    invited.set(connection, what);
    const [oldest] = invited.keys();
    if (invited.size > MOST_REMEMBERED && oldest !== undefined) invited.delete(oldest);
  }

  return {
    invites(headers) {
      const connection = connectionOf(headers);
      // The SDK drops the answer that invites it, so only one that has flags already is asked: nobody waits for a stream to start.
      if (connection === undefined || headers['if-none-match'] === undefined) return false;
      if (!followsInvitations(headers['unleash-sdk']) || !hasRoom()) return false;
      const nowMs = clock.nowMs();
      const before = invited.get(connection);
      if (before !== undefined && nowMs - before.atMs < INVITE_AGAIN_MS) return false;
      remember(connection, { atMs: nowMs, openedAtMs: [] });
      return true;
    },
    admits(headers) {
      const connection = connectionOf(headers);
      const known = connection === undefined ? undefined : invited.get(connection);
      if (connection === undefined || known === undefined) return true;
      const nowMs = clock.nowMs();
      const openedAtMs = [...known.openedAtMs.filter((atMs) => nowMs - atMs < OPENINGS_WITHIN_MS), nowMs];
      const isLasting = openedAtMs.length <= MOST_OPENINGS;
      // Starting the wait anew: streams have just been seen not to last.
      remember(connection, { atMs: isLasting ? known.atMs : nowMs, openedAtMs: isLasting ? openedAtMs : [] });
      return isLasting;
    },
  };
}

function connectionOf(headers: IncomingHttpHeaders): string | undefined {
  const connection = headers['unleash-connection-id'];
  return typeof connection === 'string' && connection !== '' && connection.length <= 100 ? connection : undefined;
}

/** Node's SDK knows the header since 6.7.0, and only since 6.9.0 goes back to polling by itself when streams fail. */
function followsInvitations(sdk: string | string[] | undefined): boolean {
  const [, major, minor] = /^unleash-node-sdk:(\d+)\.(\d+)\./.exec(String(sdk)) ?? [];
  return Number(major) > 6 || (Number(major) === 6 && Number(minor) >= 9);
}
