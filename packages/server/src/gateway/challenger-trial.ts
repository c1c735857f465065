/** What this gateway does about a challenger by itself: its breaker, and the lease of its share. Entries of the routing table hold one each. */
import { type Breaker, type BreakerChange, openBreaker } from '@understudy/core/breaker';
import type { SnapshotRollout } from '@understudy/core/snapshot';
import type { Trial } from '@understudy/contract/report';
import type { ArmOutcome } from './arm-outcome.ts';
import type { GatewayCounts } from './gateway-counts.ts';
import type { Lease } from './lease.ts';
import type { LoadedVersion } from './loaded-version.ts';
import type { Decision } from './routing-decision.ts';

/** What trials need of their gateway. */
export interface TrialPorts {
  readonly lease: Lease;
  readonly counts: GatewayCounts;
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Uniform in [0, 1): spreads the tries of many gateways. */
  readonly random: () => number;
}

/** One challenger instance in one rollout. Lives through steps and snapshots, ends with the rollout. */
export interface ChallengerTrial {
  readonly rollout: string;
  readonly challenger: LoadedVersion;
  readonly breaker: Pick<Breaker, 'isClosed' | 'status'>;
  /** What becomes of a decision while the breaker is not closed; the decision itself while it is. */
  review(decision: Decision, nowMs: number, isRescuable: boolean): Decision;
  /** A request that ended without a rescue. */
  ended(decision: Decision, outcome: ArmOutcome, nowMs: number): void;
  /** A request of the challenger for which the champion was called in. */
  rescued(decision: Decision, answer: ArmOutcome, nowMs: number): void;
  /** A request is over, whatever came of it. */
  release(decision: Decision, nowMs: number): void;
  /** Since when the lease is over; undefined while it holds, and where the share is not lent. */
  leaseOverSinceMs(rollout: SnapshotRollout, nowMs: number): number | undefined;
  report(rollout: SnapshotRollout, nowMs: number): Trial;
}

/** Opens a trial whose breaker is closed. */
export function openChallengerTrial(
  { lease, counts, log, random }: TrialPorts,
  rollout: string,
  challenger: LoadedVersion,
): ChallengerTrial {
  const breaker = openBreaker();
  const names = { model: challenger.model, version: challenger.version, rollout };

  const tell = (change: BreakerChange | undefined, nowMs: number): void => {
    if (change === undefined) return;
    if (change !== 'closed') counts.breakerOpenings++;
    log(`breaker.${change}`, { ...names, ...breaker.status(nowMs) });
  };

  const trial: ChallengerTrial = {
    rollout,
    challenger,
    breaker,
    review(decision, nowMs, isRescuable) {
      const { seat, standIn, reason } = decision;
      if (breaker.isClosed || reason === 'forced') return decision;
      // What the champion gets while the challenger gets nothing is no comparison either.
      if (standIn === undefined) return { ...decision, seat: seat.outside() };
      // A body that is passed on unread cannot be rescued, so nothing is tried with it.
      if (isRescuable && breaker.admit(nowMs) === 'probe') {
        counts.breakerProbes++;
        return { seat: seat.outside(), reason: 'probe', standIn };
      }
      counts.breakerDiverted++;
      return { seat: standIn.outside(), reason: 'breaker' };
    },
    ended({ seat, reason }, outcome, nowMs) {
      const isFailure = isFailed(outcome);
      if (reason === 'forced' || isFailure === undefined || seat.arm === 'shadow') return;
      if (reason === 'probe') tell(breaker.endProbe(nowMs, isFailure ? 'failed' : 'succeeded', random()), nowMs);
      else tell(breaker.record(nowMs, seat.arm, isFailure, isFailure ? random() : 0), nowMs);
    },
    rescued({ reason }, answer, nowMs) {
      const isFailure = isFailed(answer);
      // A client that had enough by then says nothing about the champion, who had just begun.
      if (isFailure === undefined || answer.kind === 'abandoned') return;
      tell(breaker.record(nowMs, 'champion', isFailure, 0), nowMs);
      // What the champion cannot answer either is not the challenger's fault.
      if (isFailure) return;
      if (reason === 'probe') tell(breaker.endProbe(nowMs, 'failed', random()), nowMs);
      else tell(breaker.record(nowMs, 'challenger', true, random()), nowMs);
    },
    release({ reason }, nowMs) {
      if (reason === 'probe') breaker.endProbe(nowMs, 'unknown', 0);
    },
    leaseOverSinceMs({ lease: lent }, nowMs) {
      return lent === undefined ? undefined : lease.overSinceMs(nowMs, lent.ms);
    },
    report(present, nowMs) {
      const leaseOverSinceMs = trial.leaseOverSinceMs(present, nowMs);
      return { rollout, breaker: breaker.status(nowMs), ...(leaseOverSinceMs === undefined ? {} : { leaseOverSinceMs }) };
    },
  };
  return trial;
}

/**
 * Whether an outcome speaks against its version; undefined when it says nothing. A client that left counts: clients leave
 * both arms alike, unless one of them makes them wait.
 */
function isFailed(outcome: ArmOutcome): boolean | undefined {
  switch (outcome.kind) {
    case 'answered':
      return false;
    case 'sent':
      return outcome.verdict !== 'ok' && outcome.verdict !== 'rejected';
    case 'failed':
    case 'abandoned':
      return true;
    // Nobody could read it, or it was another version's to answer.
    case 'refused':
    case 'other-protocol':
      return undefined;
  }
}
