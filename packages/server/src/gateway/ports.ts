/** What the gateway needs from the outside, wired in `compose.ts`: a snapshot, a place to report to, and loaded versions. */
import type { GatewayReport } from '@understudy/contract/report';
import type { Snapshot, SnapshotVersion } from '@understudy/core/snapshot';
import type { Runtime } from '../runtimes/runtime.ts';

/** Where snapshots come from. */
export interface SnapshotSource {
  /**
   * The listener is called at once with the present snapshot, and soon after each change.
   * @param onPresent called every few seconds as long as the source is sure that this revision is the present one
   */
  subscribe(listener: (snapshot: Snapshot) => void, onPresent: (revision: number) => void): () => void;
}

/** Where reports go; sent again with the same sequence until this resolves. */
export type ReportSink = (report: GatewayReport, signal: AbortSignal) => Promise<void>;

/** Loads a version, warms it up and probes it. Throws AppError with what is wrong when it cannot be used. */
export type OpenRuntime = (model: string, version: SnapshotVersion) => Promise<Runtime>;
