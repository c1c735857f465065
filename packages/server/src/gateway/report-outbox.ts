/** Reports on their way to the control plane: bounded, in order, each with one sequence for all of its attempts. */
import { type GatewayReport, MAX_NAMES } from '@understudy/contract/report';
import { type EvidenceBlock, mergeTallies, type Tally } from '@understudy/core/evidence';
import { ReportRefused } from '../report-refused.ts';
import type { ReportSink } from './ports.ts';
import type { Timers } from './timers.ts';

/** A report but for its blocks, as it is at the moment of sending. */
export type ReportHeader = (sequence: number) => Omit<GatewayReport, 'blocks'>;

export interface ReportOutbox {
  /** Queues the blocks of one interval; none are still a sign of life. */
  add(blocks: readonly EvidenceBlock[]): void;
  /** Sends what waits, oldest first, until the queue is empty or an attempt fails. Never rejects. */
  send(header: ReportHeader): Promise<void>;
  stats(): { readonly pendingReports: number; readonly lostBlocks: number };
  close(): void;
}

// A minute of an unreachable control plane second by second; after that the oldest intervals are merged.
const MAX_WAITING = 60;
const MAX_BLOCKS = 10_000;
const ATTEMPT_MS = 5000;

/** Who wants to know what becomes of reports. */
export interface OutboxListeners {
  readonly onDelivered?: () => void;
  readonly onRefused?: (reason: string) => void;
}

/**
 * Opens an outbox. A report that was attempted may have arrived, so it never changes again and keeps its sequence; only
 * reports that were never attempted are merged when too many wait. Counts are lost beyond 10 000 different keys, and with a
 * report that will never be taken.
 */
export function openReportOutbox(sink: ReportSink, timers: Timers, listeners: OutboxListeners = {}): ReportOutbox {
  const queue = openBlockQueue();
  let present: AbortController | undefined;
  let attempted: GatewayReport | undefined;
  let sequence = 0;
  let refusedBlocks = 0;
  let sending: Promise<void> | undefined;
  let following: Promise<void> | undefined;

  const sendAll = async (header: ReportHeader): Promise<void> => {
    for (;;) {
      if (attempted === undefined) {
        const blocks = queue.shift();
        if (blocks === undefined) return;
        attempted = { ...header(sequence++), blocks: [...blocks] };
      }
      present = new AbortController();
      const end = await attempt(sink, timers, { report: attempted, controller: present });
      if (end === 'failed') return;
      if (end === 'delivered') listeners.onDelivered?.();
      else {
        refusedBlocks += attempted.blocks.length;
        listeners.onRefused?.(end.refused);
      }
      attempted = undefined;
    }
  };

  return {
    add: (blocks) => queue.push(blocks),
    send(header) {
      const start = (): Promise<void> => {
        following = undefined;
        sending = sendAll(header).finally(() => {
          sending = undefined;
        });
        return sending;
      };
      if (sending === undefined) return start();
      // What was added meanwhile deserves an attempt of its own; more than one in waiting would only pile up.
      following ??= sending.then(start);
      return following;
    },
    stats: () => ({
      pendingReports: queue.length + (attempted === undefined ? 0 : 1),
      lostBlocks: queue.lostBlocks + refusedBlocks,
    }),
    close() {
      present?.abort(new Error('the gateway is closed'));
    },
  };
}

interface BlockQueue {
  push(blocks: readonly EvidenceBlock[]): void;
  shift(): readonly EvidenceBlock[] | undefined;
  readonly length: number;
  readonly lostBlocks: number;
}

/** Intervals in order; when too many wait, the oldest two become one. */
function openBlockQueue(): BlockQueue {
  let waiting: (readonly EvidenceBlock[])[] = [];
  let lostBlocks = 0;
  return {
    push(blocks) {
      if (blocks.length === 0 && waiting.length > 0) return;
      for (let start = 0; start === 0 || start < blocks.length; start += MAX_BLOCKS) {
        waiting.push(blocks.slice(start, start + MAX_BLOCKS));
      }
      while (waiting.length > MAX_WAITING) {
        const [first = [], second = [], ...rest] = waiting;
        const merged = mergeBlocks(first, second);
        lostBlocks += Math.max(0, merged.length - MAX_BLOCKS);
        waiting = [merged.slice(0, MAX_BLOCKS), ...rest];
      }
    },
    shift: () => waiting.shift(),
    get length() {
      return waiting.length;
    },
    get lostBlocks() {
      return lostBlocks;
    },
  };
}

interface Attempt {
  readonly report: GatewayReport;
  readonly controller: AbortController;
}

/** What came of sending; the control plane may have taken the report even when this says that it failed. */
async function attempt(
  sink: ReportSink,
  timers: Timers,
  { report, controller }: Attempt,
): Promise<'delivered' | 'failed' | { readonly refused: string }> {
  const { signal } = controller;
  const cancel = timers.after(ATTEMPT_MS, () => controller.abort(new Error(`no answer within ${ATTEMPT_MS} ms`)));
  try {
    await Promise.race([sink(report, signal), rejectionOf(signal)]);
    return 'delivered';
  } catch (error) {
    // Otherwise the control plane is away; the next interval tries again with the same sequence.
    return error instanceof ReportRefused ? { refused: error.message } : 'failed';
  } finally {
    cancel();
  }
}

/**
 * Blocks of both lists, those of one key as one; an interval begins where the earlier one began. Blocks that would have
 * more names together than a report may stay apart.
 */
export function mergeBlocks(left: readonly EvidenceBlock[], right: readonly EvidenceBlock[]): EvidenceBlock[] {
  const merged = new Map<string, EvidenceBlock>();
  const full: EvidenceBlock[] = [];
  for (const block of [...left, ...right]) {
    const key = JSON.stringify([block.model, block.version, block.arm, block.rollout, block.step, block.stratum]);
    const present = merged.get(key);
    const tally = present === undefined ? block.tally : mergeTallies(present.tally, block.tally);
    if (present !== undefined && !isReportable(tally)) full.push(present);
    const isAlone = present === undefined || !isReportable(tally);
    merged.set(key, isAlone ? block : { ...block, startMs: Math.min(present.startMs, block.startMs), tally });
  }
  return [...full, ...merged.values()];
}

function isReportable({ classes, bins, scores }: Tally): boolean {
  return (
    Object.keys(classes).length <= MAX_NAMES.classes &&
    Object.keys(bins).length <= MAX_NAMES.bins &&
    Object.keys(scores).length <= MAX_NAMES.scores
  );
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted')), {
      once: true,
    });
  });
}
