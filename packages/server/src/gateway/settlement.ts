/** What an outcome is as evidence and as a metric. The one place that writes both. */
import type { ArmOutcome, Predictions } from './arm-outcome.ts';
import type { EvidenceCell } from './evidence-cell.ts';
import type { Outcome } from './request-counters.ts';
import type { Seat } from './seat.ts';

/**
 * How a call counts. `counted`: a routed request, as it is. `rescued`: its failure was made good by the champion.
 * `rescuing`: the champion's answer to somebody else's request, and `forced`: not a fair sample of an arm, so no evidence.
 */
export type Settlement = 'counted' | 'rescued' | 'rescuing' | 'forced';

/** Counts the end of a call. */
export function settle({ evidence, counters }: Seat, outcome: ArmOutcome, settlement: Settlement): void {
  if (settlement === 'counted' || settlement === 'rescued') addEvidence(evidence, outcome, settlement === 'rescued');
  counters.add(settlement === 'rescued' ? 'rescued' : metricOf(outcome, settlement), outcome.ms);
}

function addEvidence(cell: EvidenceCell, outcome: ArmOutcome, isRescued: boolean): void {
  switch (outcome.kind) {
    case 'answered':
      cell.addAnswer(outcome.ms);
      addPredictions(cell, outcome.predictions);
      return;
    case 'sent':
      if (outcome.verdict === 'rejected') cell.addRejection(outcome.ms);
      else if (outcome.verdict === 'ok') {
        cell.addAnswer(outcome.ms);
        addPredictions(cell, outcome.predictions);
      } else cell.addFailure(outcome.ms, outcome.verdict, false);
      return;
    case 'failed':
      cell.addFailure(outcome.ms, outcome.failure, isRescued);
      return;
    case 'refused':
      // Counted only when the champion could read the request: then the challenger does not take what clients send.
      if (isRescued) cell.addFailure(outcome.ms, 'failed', true);
      return;
    case 'abandoned':
      // The client's patience ended first. Leaving these out would hide a version that hangs; the time is a lower bound.
      cell.addAnswer(outcome.ms);
      return;
    case 'other-protocol':
  }
}

function addPredictions(cell: EvidenceCell, { values, isClass }: Predictions): void {
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (value !== undefined) cell.addPrediction(value, isClass);
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
