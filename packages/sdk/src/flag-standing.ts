/** How up to date flags are, and who hears of it. Local and remote flags keep one each. */
import { openListeners } from './listeners.ts';
import type { FeedPorts } from '@understudy/feed/ports';
import type { TellProblem } from './problem.ts';
import { openReadiness } from './readiness.ts';

/** How up to date the flags are. */
export interface FlagsStatus {
  /**
   * `starting`: there are no flags yet, every answer is the default. `live`: the server said that these are the newest.
   * `stale`: they were, but the server cannot be reached, or they come from the disk. `closed`: nothing changes any more.
   */
  readonly state: 'starting' | 'live' | 'stale' | 'closed';
  /** Of the flags at hand; undefined while there are none. */
  readonly revision: number | undefined;
  readonly environment: string | undefined;
  /** How the newest news came. */
  readonly source: FlagsSource | undefined;
  /** Milliseconds since the server last confirmed the flags at hand; of flags from the disk, since they were kept. */
  readonly ageMs: number | undefined;
}

/** Where news come from; `disk` is whatever the storage is. */
export type FlagsSource = 'stream' | 'poll' | 'disk';

/** What the flags at hand are. */
export interface Identity {
  readonly revision: number | undefined;
  readonly environment: string | undefined;
}

export interface FlagStanding {
  /** Resolves at the first confirmation, at the first loss, or when it takes too long. Never rejects. */
  readonly ready: Promise<FlagsStatus>;
  status(): FlagsStatus;
  /** @returns stops */
  onStatus(listener: (status: FlagsStatus) => void): () => void;
  /** The server says that what is at hand is the newest. */
  confirm(source: FlagsSource): void;
  /** What is at hand was kept at that time. */
  restored(keptAtMs: number): void;
  /** What is at hand may be old. */
  doubt(): void;
  /** The server cannot be reached. */
  lost(): void;
  /** Somebody else speaks for the flags from now on: nobody hears of it. */
  retire(): void;
  close(): void;
}

export interface FlagStandingPorts extends Pick<FeedPorts, 'nowMs' | 'after'> {
  readonly tell: TellProblem;
  /** Undefined while there are no flags. */
  readonly identity: () => Identity | undefined;
  readonly readyWithinMs: number;
}

export function openFlagStanding({ nowMs, after, tell, identity, readyWithinMs }: FlagStandingPorts): FlagStanding {
  const listeners = openListeners<FlagsStatus>(tell);
  let state: FlagsStatus['state'] = 'starting';
  let source: FlagsSource | undefined;
  let confirmedAtMs = 0;
  const status = (): FlagsStatus => {
    const known = identity();
    const ageMs = known === undefined ? undefined : Math.max(0, nowMs() - confirmedAtMs);
    return { state, revision: known?.revision, environment: known?.environment, source, ageMs };
  };
  const readiness = openReadiness(status, { withinMs: readyWithinMs, after });
  const enter = (next: FlagsStatus['state']): void => {
    if (state === next || state === 'closed') return;
    state = next;
    listeners.call(status());
  };
  const end = (): void => {
    state = 'closed';
    readiness.settle();
    listeners.clear();
  };
  const doubt = (): void => {
    if (identity() !== undefined) enter('stale');
  };
  return {
    ready: readiness.ready,
    status,
    onStatus: (listener) => listeners.add(listener),
    confirm(from) {
      if (state === 'closed') return;
      source = from;
      confirmedAtMs = nowMs();
      enter('live');
      readiness.settle();
    },
    restored(keptAtMs) {
      source = 'disk';
      confirmedAtMs = keptAtMs;
      doubt();
    },
    doubt,
    lost() {
      doubt();
      readiness.settle();
    },
    retire: end,
    close() {
      enter('closed');
      end();
    },
  };
}
