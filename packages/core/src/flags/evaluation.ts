/** The answer to a flag and why. Everything that evaluates or shows flags depends on it. */
import type { JsonValue } from './context.ts';

/** Why, in OpenFeature's words. */
export type EvaluationReason = 'STATIC' | 'DEFAULT' | 'TARGETING_MATCH' | 'SPLIT' | 'DISABLED' | 'ERROR';

/** Why, exactly. */
export type EvaluationDetail =
  | { readonly kind: 'off' }
  | { readonly kind: 'unscheduled' }
  | { readonly kind: 'prerequisite'; readonly flag: string }
  | { readonly kind: 'pin' }
  | { readonly kind: 'rule'; readonly index: number; readonly id: string | undefined }
  | { readonly kind: 'fallthrough' }
  | { readonly kind: 'error'; readonly code: EvaluationErrorCode; readonly message: string };

/** OpenFeature's codes. `PARSE_ERROR`: the document is malformed where the context led. `GENERAL`: a port threw. */
export type EvaluationErrorCode = 'FLAG_NOT_FOUND' | 'PARSE_ERROR' | 'GENERAL';

/** Never thrown, always returned. */
export interface Evaluation {
  readonly flag: string;
  /** Undefined: the caller's own default. */
  readonly value: JsonValue | undefined;
  readonly variant: string | undefined;
  readonly reason: EvaluationReason;
  readonly detail: EvaluationDetail;
  /** What Unleash and Flagsmith call enabled. */
  readonly isEnabled: boolean;
  /** Whether the answer counts as evidence of an experiment. */
  readonly isInExperiment: boolean;
}

/** An answer without a value. */
export function errorEvaluation(flag: string, code: EvaluationErrorCode, message: string): Evaluation {
  return {
    flag,
    value: undefined,
    variant: undefined,
    reason: 'ERROR',
    detail: { kind: 'error', code, message },
    isEnabled: false,
    isInExperiment: false,
  };
}
