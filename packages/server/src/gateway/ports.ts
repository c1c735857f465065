/** What the gateway needs from the outside, wired in `compose-gateway.ts`: a snapshot, a place to report to, and loaded versions. */
import type { GatewayReport } from '@understudy/contract/report';
import type { SnapshotVersion } from '@understudy/core/snapshot';
import type { Runtime } from '../runtimes/runtime.ts';

/** Where reports go; sent again with the same sequence until this resolves, or rejects with ReportRefused. */
export type ReportSink = (report: GatewayReport, signal: AbortSignal) => Promise<void>;

/** Loads a version, warms it up and probes it. Throws AppError with what is wrong when it cannot be used. */
export type OpenRuntime = (model: string, version: SnapshotVersion) => Promise<Runtime>;
