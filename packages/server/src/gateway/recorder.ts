/** Counts what every version did and reports it once a second. Memory is fixed by the number of arms, never by traffic. */
import type { GatewayReport, Readiness, Standing } from '@understudy/contract/report';
import type { EvidenceBlock } from '@understudy/core/evidence';
import { INTERVAL_MS } from '@understudy/core/evidence-pool';
import type { Clock } from '../clock.ts';
import { type CellPlace, type EvidenceCell, openEvidenceCell } from './evidence-cell.ts';
import type { ReportSink } from './ports.ts';
import { mergeBlocks, openReportOutbox } from './report-outbox.ts';
import type { Timers } from './timers.ts';

export interface RecorderOptions {
  readonly gateway: string;
  readonly boot: string;
  /** Named in every block, when there is one. */
  readonly stratum?: string;
  /** Reports leave at multiples of this on the clock, so that all gateways close their intervals together. */
  readonly flushEveryMs: number;
  /** Called when an interval ends, before its report. */
  readonly onInterval?: () => void;
  /** Called when the control plane has taken a report. */
  readonly onDelivered?: () => void;
  /** Called when a report will never be taken; it is given up. */
  readonly onRefused?: (reason: string) => void;
  /** State of the gateway at the moment of a report. */
  readonly state: () => RecorderState;
}

export interface RecorderState {
  readonly revision: number;
  readonly readiness: readonly Readiness[];
  /** Absent before the first snapshot. */
  readonly standing: Standing | undefined;
}

export interface RecorderPorts {
  readonly reports: ReportSink;
  readonly clock: Clock;
  readonly timers: Timers;
}

export interface Recorder {
  /** A cell to count in. Cells of one key, as a rebuilt routing table makes them, are reported as one. */
  openCell(place: CellPlace): EvidenceCell;
  /** Closes the interval and reports it now; resolves when the control plane has it, or when this attempt has failed. */
  flush(): Promise<void>;
  stats(): { readonly pendingReports: number; readonly lostBlocks: number };
  /** Reports what is left, once, and stops. */
  close(): Promise<void>;
}

/**
 * Opens a recorder. Only cells that counted something are kept, so a cell of a past step goes away after its last report;
 * a request that still holds it brings it back by counting.
 */
export function openRecorder(options: RecorderOptions, ports: RecorderPorts): Recorder {
  const { clock, timers } = ports;
  const stratum = options.stratum === undefined ? {} : { stratum: options.stratum };
  const live = new Set<EvidenceCell>();
  const outbox = openReportOutbox(ports.reports, timers, options);
  let startMs = wholeSecond(clock.nowMs());

  const reportOf = (sequence: number): Omit<GatewayReport, 'blocks'> => {
    const { revision, readiness, standing } = options.state();
    return {
      gateway: options.gateway,
      boot: options.boot,
      sequence,
      revision,
      readiness: readiness.slice(0, 10_000),
      ...(standing === undefined ? {} : { standing }),
    };
  };
  const flush = (): Promise<void> => {
    options.onInterval?.();
    const blocks: EvidenceBlock[] = [];
    for (const cell of live) {
      const block = cell.take(startMs);
      if (block !== undefined) blocks.push(block);
    }
    live.clear();
    startMs = wholeSecond(clock.nowMs());
    outbox.add(mergeBlocks(blocks, []));
    return outbox.send(reportOf);
  };
  const stop = everyMultiple(options.flushEveryMs, ports, () => void flush());

  return {
    openCell({ key, ...place }) {
      const cell = openEvidenceCell({ key: { ...key, ...stratum }, ...place }, () => live.add(cell));
      return cell;
    },
    flush,
    stats: () => outbox.stats(),
    async close() {
      stop();
      await flush();
      outbox.close();
    },
  };
}

/** Runs at every multiple on the clock, never before it. @returns how to stop it */
function everyMultiple(ms: number, { clock, timers }: Pick<RecorderPorts, 'clock' | 'timers'>, run: () => void): () => void {
  let cancel = (): void => {};
  const waitUntil = (dueMs: number): void => {
    cancel = timers.after(Math.ceil(dueMs - clock.nowMs()), () => {
      const nowMs = clock.nowMs();
      // A timer may fire a fraction of a millisecond early; the interval would then have its last requests in the next.
      if (nowMs < dueMs) {
        waitUntil(dueMs);
        return;
      }
      waitUntil(nextMultiple(ms, nowMs));
      run();
    });
  };
  waitUntil(nextMultiple(ms, clock.nowMs()));
  return () => cancel();
}

function nextMultiple(ms: number, nowMs: number): number {
  return (Math.floor(nowMs / ms) + 1) * ms;
}

function wholeSecond(atMs: number): number {
  return Math.floor(atMs / INTERVAL_MS) * INTERVAL_MS;
}
