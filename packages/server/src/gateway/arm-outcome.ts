/** How a call of one version ended. Arms return it; the inference decides what it means for the client and the evidence. */
import type { AppError } from '@understudy/core/errors';
import type { Failure } from './evidence-cell.ts';
import type { Prediction } from './prediction-counts.ts';
import type { Seat } from './seat.ts';

/** Predictions of an answer, to be counted. */
export interface Predictions {
  readonly values: ArrayLike<Prediction> & Iterable<Prediction>;
  /** Whether numbers among them are labels rather than measures. */
  readonly isClass: boolean;
}

export type ArmOutcome =
  /** A valid answer that is not sent yet. */
  | {
      readonly kind: 'answered';
      readonly ms: number;
      readonly predictions: Predictions;
      body(requestId: string, ms: number): string;
    }
  /** An upstream's answer went to the client; `failure` when it is one all the same, or broke off in the middle. */
  | {
      readonly kind: 'sent';
      readonly ms: number;
      readonly predictions: Predictions;
      readonly verdict: 'ok' | 'rejected' | Failure;
      /** The id that the user was told; absent of a shadow's answer, which nobody gets. */
      readonly requestId?: string;
    }
  /** No answer; nothing was sent. */
  | { readonly kind: 'failed'; readonly ms: number; readonly failure: Failure; readonly error: AppError }
  /** This version cannot read the request; whose fault that is depends on the other version. */
  | { readonly kind: 'refused'; readonly ms: number; readonly error: AppError }
  /** The version speaks another protocol than the request. */
  | { readonly kind: 'other-protocol'; readonly ms: number; readonly error: AppError }
  /** The client went away. */
  | { readonly kind: 'abandoned'; readonly ms: number };

/** One call of one version. */
export interface ArmCall {
  readonly seat: Seat;
  /** Whether the version's instance is new, so that the time of this call is counted apart. */
  readonly isCold: boolean;
  /** Time for this call. */
  readonly budgetMs: number;
  /** Nobody will answer instead: an upstream's failure may go to the client as it is. */
  readonly isLast: boolean;
}

/** An answer without predictions that could be counted. */
export const NO_PREDICTIONS: Predictions = { values: [], isClass: false };
