/** What an outcome is as evidence and as a metric. The one place that writes both. */
import type { ArmCall, ArmOutcome, Predictions } from './arm-outcome.ts';
import type { EvidenceCell } from './evidence-cell.ts';
import type { Outcome } from './request-counters.ts';

/**
 * How a call counts. `counted`: a routed request, as it is. `rescued`: its failure was made good by the champion.
 * `rescuing`: the champion's answer to somebody else's request, and `forced`: not a fair sample of an arm, so no evidence.
 */
export type Settlement = 'counted' | 'rescued' | 'rescuing' | 'forced';

/** Counts the end of a call. */
export function settle(call: Pick<ArmCall, 'seat' | 'isCold'>, outcome: ArmOutcome, settlement: Settlement): void {
  const { evidence, counters } = call.seat;
  const isRescued = settlement === 'rescued';
  if ((settlement === 'counted' || isRescued) && isEvidence(outcome, isRescued)) {
    evidence.addRequest(outcome.ms, call.isCold);
    addResult(evidence, outcome, isRescued);
  }
  counters.add(isRescued ? 'rescued' : metricOf(outcome, settlement), outcome.ms);
}

function isEvidence({ kind }: ArmOutcome, isRescued: boolean): boolean {
  // Counted only when the champion could read the request: then the challenger does not take what clients send.
  if (kind === 'refused') return isRescued;
  return kind !== 'other-protocol';
}

function addResult(cell: EvidenceCell, outcome: ArmOutcome, isRescued: boolean): void {
  switch (outcome.kind) {
    case 'answered':
      addPredictions(cell.predictions, outcome.predictions);
      return;
    case 'sent':
      if (outcome.verdict === 'rejected') cell.addRejection();
      else if (outcome.verdict === 'ok') addPredictions(cell.predictions, outcome.predictions);
      else cell.addError(outcome.verdict, false);
      return;
    case 'failed':
      cell.addError(outcome.failure, isRescued);
      return;
    case 'refused':
      cell.addError('failed', true);
      return;
    // The client's patience ended first. Leaving these out would hide a version that hangs; the time is a lower bound.
    case 'abandoned':
    case 'other-protocol':
  }
}

/** A request counts by its first row, whatever the size of its batch; only mean and spread are of every row. */
export function addPredictions(counts: EvidenceCell['predictions'], { values, isClass }: Predictions): void {
  const first = values[0];
  if (first === undefined) return;
  counts.add(first, isClass);
  for (let index = 1; index < values.length; index++) {
    const value = values[index];
    if (value !== undefined) counts.addRow(value);
  }
}

function metricOf(outcome: ArmOutcome, settlement: Settlement): Outcome {
  switch (outcome.kind) {
    case 'answered':
      return settlement === 'forced' ? 'forced' : 'ok';
    case 'sent':
      if (outcome.verdict === 'ok') return settlement === 'forced' ? 'forced' : 'ok';
      return outcome.verdict === 'failed' ? 'error' : outcome.verdict;
    case 'failed':
      return outcome.failure === 'failed' ? 'error' : outcome.failure;
    case 'refused':
    case 'other-protocol':
      return 'rejected';
    case 'abandoned':
      return 'abandoned';
  }
}
