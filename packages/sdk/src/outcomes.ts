/** Reports what came of requests: collected, sent in batches that count once however often they are sent, never in the caller's way. */
import { type EntryReading, type LateScore, type Outcome, writeLateScore, writeOutcome } from './outcome.ts';
import { openOutcomeQueue } from './outcome-queue.ts';
import { type BatchResult, openOutcomeSender } from './outcome-sender.ts';
import { pause, type FeedPorts, SYSTEM_PORTS } from '@understudy/feed/ports';
import { tellOnce } from '@understudy/feed/problem';
import type { SdkProblem } from './problem.ts';
import { backoffMs } from '@understudy/feed/upkeep';

/** Where reports go. */
export interface ReportOutcomesOptions {
  /** Base address of the control plane, such as `http://127.0.0.1:7070`. */
  readonly url: string;
  /** A token with the scope `feedback`. */
  readonly key: string;
  /** Name of this process, such as its host's name: letters, digits, ".", "_" and "-". */
  readonly reporter: string;
  /** Told apart from services whose users differ, such as a region. */
  readonly stratum?: string;
  readonly onProblem?: (problem: SdkProblem) => void;
  /** Milliseconds between batches; 1000 when left out. Both versions of a rollout should be in one batch. */
  readonly everyMs?: number;
  /** How many reports wait at most while the server is away; 10 000 when left out. Those beyond are dropped and counted. */
  readonly maxWaiting?: number;
  /** How long `close` tries, in milliseconds; 5000 when left out. */
  readonly closeWithinMs?: number;
}

/** What became of reports. */
export interface OutcomesStatus {
  /** Not sent yet, or not answered. */
  readonly waiting: number;
  readonly sent: number;
  /** Lost: no room, refused, invalid, too old, or not sent when it was closed. */
  readonly dropped: number;
}

/** Takes reports. */
export interface Outcomes {
  /** Never throws and never waits. */
  report(outcome: Outcome): void;
  /** For scores that come after their request was reported. Never throws and never waits. */
  score(score: LateScore): void;
  /** Sends now. @returns whether all of it was answered */
  flush(): Promise<boolean>;
  status(): OutcomesStatus;
  /** Sends what waits and takes nothing any more. */
  close(): Promise<void>;
}

// So many are sent before the time is over.
const FULL_BATCH = 1000;
// The server leaves out what is older than an hour.
const TOO_OLD_MS = 3_600_000;
// A key that was refused may be given its scope; within seconds it will not.
const REFUSED_MS = 60_000;

/** @param ports for tests */
export function reportOutcomes(options: ReportOutcomesOptions, ports: FeedPorts = SYSTEM_PORTS): Outcomes {
  const { tell, isOver } = tellOnce(options.onProblem);
  const queue = openOutcomeQueue(options.maxWaiting ?? 10_000);
  const sender = openOutcomeSender({ ...options, tell, ports });
  const tally = { sent: 0, dropped: 0 };
  const drop = (count: number, why: string): void => {
    if (count === 0) return;
    tally.dropped += count;
    tell({ code: 'outcomes.dropped', message: `reports are dropped: ${why}` });
  };
  const pump = openPump({ queue, sender, tally, drop, isOver, nowMs: ports.nowMs });
  const beat = startBeat({ pump, ports, everyMs: options.everyMs ?? 1000 });
  let isClosed = false;

  function take(kind: 'observation' | 'count', reading: EntryReading): void {
    if (reading.outcome === 'invalid') {
      tally.dropped += 1;
      tell({ code: 'outcome.invalid', message: `a report is dropped: ${reading.problem}` });
    } else if (isClosed) drop(1, 'reporting is closed');
    else if (!queue.add({ kind, atMs: reading.atMs, text: reading.text })) {
      drop(1, 'as many wait as may, because the server does not take them');
    } else if (queue.size >= FULL_BATCH) beat.hurry();
  }

  return {
    report: (outcome) =>
      take(
        'observation',
        guarded(() => writeOutcome(outcome, ports.nowMs())),
      ),
    score: (score) =>
      take(
        'count',
        guarded(() => writeLateScore(score, ports.nowMs())),
      ),
    flush: async () => (await pump.send()) === 'empty',
    status: () => ({ waiting: queue.size + pump.inFlight(), ...tally }),
    async close() {
      if (isClosed) return;
      isClosed = true;
      beat.stop();
      const deadline = new AbortController();
      const cancel = ports.after(options.closeWithinMs ?? 5000, () => deadline.abort());
      let last: PumpState = 'failed';
      for (let failures = 1; last === 'failed' && !deadline.signal.aborted; failures += 1) {
        last = await pump.send(deadline.signal);
        if (last === 'failed') await pause(backoffMs(failures, ports), deadline.signal, ports);
      }
      cancel();
      drop(pump.abandon() + queue.clear(), 'the server did not take them before reporting was closed');
    },
  };
}

/** What callers hand over may be anything. */
function guarded(write: () => EntryReading): EntryReading {
  try {
    return write();
  } catch (error) {
    return { outcome: 'invalid', problem: String(error) };
  }
}

/** Empty: all was answered. Failed: try later. Refused: the key has no right to report. */
type PumpState = 'empty' | 'failed' | 'refused';

interface Pump {
  /** Sends until nothing waits or something fails; one after the other, whoever asks. */
  send(signal?: AbortSignal): Promise<PumpState>;
  inFlight(): number;
  /** @returns how many reports were on the way */
  abandon(): number;
}

interface PumpParts {
  readonly queue: ReturnType<typeof openOutcomeQueue>;
  readonly sender: ReturnType<typeof openOutcomeSender>;
  readonly tally: { sent: number; dropped: number };
  readonly drop: (count: number, why: string) => void;
  readonly isOver: () => void;
  readonly nowMs: () => number;
}

/** A batch stays the same until it is answered: its number makes it count once. */
function openPump({ queue, sender, tally, drop, isOver, nowMs }: PumpParts): Pump {
  let batch: ReturnType<typeof sender.batchOf> | undefined;
  let tail: Promise<PumpState> = Promise.resolve('empty');

  function settle(result: BatchResult, count: number): PumpState | undefined {
    if (result === 'failed' || result === 'refused') return result;
    batch = undefined;
    if (result === 'taken') {
      tally.sent += count;
      isOver();
    } else drop(count, 'the server says that it cannot take them');
    return undefined;
  }

  async function sendAll(signal: AbortSignal): Promise<PumpState> {
    for (;;) {
      if (batch === undefined && queue.size === 0) return 'empty';
      batch ??= sender.batchOf(queue.take());
      const { count, oldestAtMs } = batch;
      if (nowMs() - oldestAtMs > TOO_OLD_MS) {
        drop(count, 'they are older than an hour');
        batch = undefined;
        continue;
      }
      const state = settle(await sender.send(batch, signal), count);
      if (state !== undefined) return state;
    }
  }

  return {
    send: (signal = new AbortController().signal) => (tail = tail.then(() => sendAll(signal))),
    inFlight: () => batch?.count ?? 0,
    abandon() {
      const count = batch?.count ?? 0;
      batch = undefined;
      return count;
    },
  };
}

interface BeatParts {
  readonly pump: Pump;
  readonly ports: FeedPorts;
  readonly everyMs: number;
}

/** Sends again and again: on time, earlier when much waits, later when the server is away. */
function startBeat({ pump, ports, everyMs }: BeatParts): { readonly hurry: () => void; readonly stop: () => void } {
  const closing = new AbortController();
  let nap = new AbortController();
  let failures = 0;
  const napMs = (state: PumpState): number => {
    if (state === 'refused') return REFUSED_MS;
    return failures === 0 ? everyMs : Math.max(everyMs, backoffMs(failures, ports));
  };
  const beat = async (): Promise<void> => {
    for (let state: PumpState = 'empty'; ;) {
      nap = new AbortController();
      await pause(napMs(state), nap.signal, ports);
      if (closing.signal.aborted) return;
      state = await pump.send(closing.signal);
      failures = state === 'empty' ? 0 : failures + 1;
    }
  };
  void beat();
  return {
    hurry() {
      if (failures === 0) nap.abort();
    },
    stop() {
      closing.abort();
      nap.abort();
    },
  };
}
