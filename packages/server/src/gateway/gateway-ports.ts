/** Everything that a gateway is given by `compose-gateway.ts`, and what it tells about itself. */
import type { AddressInfo } from 'node:net';
import type { Readiness, Standing } from '@understudy/contract/report';
import type { SnapshotSource } from '@understudy/core/snapshot-follower';
import type { Clock } from '../clock.ts';
import type { MetricsPage } from './information.ts';
import type { LocalSwitch } from './local-switch.ts';
import type { OpenRuntime, ReportSink } from './ports.ts';
import type { RequestTotals } from './request-counters.ts';
import type { ShadowTotals } from './shadow-lane.ts';
import type { Timers } from './timers.ts';

export interface GatewayPorts {
  readonly snapshots: SnapshotSource;
  readonly reports: ReportSink;
  readonly openRuntime: OpenRuntime;
  /** Absent where nobody can throw one. */
  readonly localSwitch?: LocalSwitch;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Uniform in [0, 1): routes requests without a subject, spreads retries. */
  readonly random: () => number;
  /** An event with fields, never a sentence. */
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Renders `GET /metrics`. */
  readonly metricsPage?: (stats: GatewayStats) => Promise<MetricsPage>;
}

/** Totals since the start, as plain data for a metrics page. */
export interface GatewayStats {
  /** -1 before the first snapshot. */
  readonly revision: number;
  /** Time since a control plane last said that the snapshot in use is the present one; undefined before the first. */
  readonly snapshotAgeMs: number | undefined;
  readonly inFlight: number;
  readonly isDraining: boolean;
  readonly requests: readonly RequestTotals[];
  /** What became of copies, by model. */
  readonly shadows: readonly ShadowTotals[];
  /** Requests without a subject, routed by chance. */
  readonly noSubject: number;
  /** Requests that a challenger would have got, had it spoken their protocol. */
  readonly otherProtocol: number;
  /** Requests refused as the caller's mistake, before any version was called. */
  readonly refused: number;
  /** Requests refused for lack of capacity. */
  readonly overloaded: number;
  readonly bugs: number;
  readonly refusedSnapshots: number;
  /** Breakers that opened, again after a failed probe included. */
  readonly breakerOpenings: number;
  /** Requests of a challenger that its breaker sent to the champion. */
  readonly breakerDiverted: number;
  /** Requests sent to a challenger to see whether its breaker may close. */
  readonly breakerProbes: number;
  /** Challengers of live rollouts. */
  readonly trials: readonly TrialStats[];
  /** Versions that are kept for a rollback and were tried. */
  readonly standbys: readonly StandbyStats[];
  /** Reports that the control plane has not taken yet. */
  readonly pendingReports: number;
  /** Blocks of evidence given up for lack of room. */
  readonly lostBlocks: number;
}

/** What the gateway does about one challenger by itself. */
export interface TrialStats {
  readonly model: string;
  readonly version: string;
  readonly breaker: 'closed' | 'half-open' | 'open';
  readonly isLeaseOver: boolean;
}

/** What the newest try of a version came to that is kept for a rollback. */
export interface StandbyStats {
  readonly model: string;
  readonly version: string;
  readonly outcome: 'ok' | 'failed' | 'unproven';
}

export interface Gateway {
  readonly address: AddressInfo;
  stats(): GatewayStats;
  readiness(): readonly Readiness[];
  /** How it stands to the control plane; undefined before the first snapshot. */
  standing(): Standing | undefined;
  /** Why `/readyz` says 503; empty when it says 200. */
  problems(): readonly string[];
  /** Ends every request, reports what is left, closes. @returns whether every request could end by itself */
  drain(): Promise<boolean>;
  /** Cuts connections, reports what is left, closes. */
  close(): Promise<void>;
}
