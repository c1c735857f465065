/** The verdict of the policy `sequential`, most urgent first. */
import type { Question, Verdict } from '../policy.ts';
import type { SequentialConfig } from './config.ts';
import { logDetection } from './detector.ts';
import { logEvidence } from './e-process.ts';
import { logSafetyOfGuard } from './guard.ts';
import { isNeededIn } from './labels.ts';
import { SAMPLE_RATIO_THRESHOLD } from './sample-ratio.ts';
import { isWeighedIn } from './paired-guard.ts';
import type { SequentialState } from './state.ts';

// Evidence of a thousand to one that the champion breaks a limit; it fades as the champion recovers.
const SICK_EVIDENCE = Math.log(1000);

// Of the logarithm of what decides: where 20 to 1 does, about 4 to 1 agrees.
const SECOND_OPINION = 0.5;

/**
 * Harm beyond doubt comes first: it is the challenger's own, whatever else they share. Then whatever makes the evidence
 * worthless. Only then may every guard's proof of safety count.
 */
export function verdictOf(config: SequentialConfig, state: SequentialState, question: Question): Verdict {
  const part = question.isSecondOpinion === true ? SECOND_OPINION : 1;
  if (state.peak >= part * logHarmBound(config)) return 'harmful';
  if (isSplitWrong(state) || lopsidedGuard(state) !== undefined) return 'invalid';
  if (sicknessOf(state) !== undefined) return 'champion-sick';
  if (silentArm(config, state, question) !== undefined) return 'no-data';
  if (question.seen.challenger.requests < question.minSamples) return 'undecided';
  // The state may still be that of the step before, while no block of this one is closed.
  if (state.step !== question.step) return 'undecided';
  const bound = part * logSafetyBound(config, question);
  const asked = state.guards.filter((_, index) => isAsked(config, index, question));
  // A bake may ask for nothing new; any other step that could ask nobody would pass anything.
  const isHeard = asked.length > 0 || question.isBake === true;
  return isHeard && asked.every((guard) => logSafetyOfGuard(guard) >= bound) ? 'healthy' : 'undecided';
}

/** Whether a guard has to be proven safe in a step: what a step cannot tell it does not ask. */
export function isAsked(
  config: SequentialConfig,
  index: number,
  question: Pick<Question, 'isLast' | 'isBake' | 'shadowPercent'>,
): boolean {
  const guard = config.guards[index];
  return guard !== undefined && isWeighedIn(guard, question.shadowPercent !== undefined) && isNeededIn(guard, question);
}

/** ln of the evidence that rolls back, 1/α. */
export function logHarmBound({ alpha }: SequentialConfig): number {
  return Math.log(1 / alpha);
}

/** ln of the evidence that each guard needs to leave the step. */
export function logSafetyBound(config: SequentialConfig, { isStrictest }: Pick<Question, 'isStrictest'>): number {
  return Math.log(1 / (isStrictest ? config.strictPromoteRisk : config.promoteRisk));
}

/** Whether the arms do not get the shares of requests that they should. */
function isSplitWrong({ split }: Pick<SequentialState, 'split'>): boolean {
  return logEvidence(split) >= Math.log(SAMPLE_RATIO_THRESHOLD);
}

/** Place of a guard whose labels do not come for both arms alike; undefined while none is known. */
export function lopsidedGuard({ guards }: Pick<SequentialState, 'guards'>): number | undefined {
  const index = guards.findIndex((guard) => guard.metric === 'feedback' && isSplitWrong(guard));
  return index < 0 ? undefined : index;
}

/** What the champion itself does beyond its limits; undefined while it is well. */
export function sicknessOf({ sick }: Pick<SequentialState, 'sick'>): 'fails' | 'is slow' | undefined {
  if (logDetection(sick.errors) >= SICK_EVIDENCE) return 'fails';
  return logDetection(sick.slow) >= SICK_EVIDENCE ? 'is slow' : undefined;
}

/** The arm that was not heard of for too long. */
export function silentArm(
  { silenceMs }: SequentialConfig,
  { heardMs }: SequentialState,
  { atMs, sinceMs }: Pick<Question, 'atMs' | 'sinceMs'>,
): 'champion' | 'challenger' | undefined {
  // The clock of a step begins with it: before, the challenger had no requests to be heard of.
  const isSilent = (arm: 'champion' | 'challenger'): boolean => atMs - Math.max(heardMs[arm], sinceMs) > silenceMs;
  if (isSilent('challenger')) return 'challenger';
  return isSilent('champion') ? 'champion' : undefined;
}
