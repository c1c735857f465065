/** Golden requests: a few requests of a model whose answers are known, so that a version can be tried without a user. Gateways ask them. */
import type { UpstreamProtocol } from './model-version.ts';

/** One request and what every good version answers. */
export interface GoldenRequest {
  /** As a user would send it, in the protocol of the set. */
  readonly body: Readonly<Record<string, unknown>>;
  /** One prediction a row; any valid answer is right when absent. */
  readonly expect?: readonly (number | string)[];
  /** Numbers may differ by so much; by 1 % and a millionth when absent. */
  readonly tolerance?: number;
}

/** The golden requests of a model. */
export interface GoldenSet {
  readonly protocol: UpstreamProtocol;
  readonly requests: readonly GoldenRequest[];
  readonly setAtMs: number;
  readonly setBy: string;
}

/** They are part of every snapshot and of every change of their model in the journal, so they stay small. */
export const GOLDEN_LIMITS = { requests: 50, bytes: 65_536 } as const;

/**
 * What is wrong with an answer to a golden request.
 * @param predictions of the answer, one a row
 * @returns a sentence for people; undefined when the answer is right
 */
export function mismatchOf(
  { expect, tolerance }: GoldenRequest,
  predictions: readonly (number | string | bigint)[],
): string | undefined {
  if (expect === undefined) return undefined;
  if (expect.length !== predictions.length) {
    return `expected ${expect.length} predictions, got ${predictions.length}`;
  }
  const wrong = expect.findIndex((expected, row) => !isRight(expected, predictions[row], tolerance));
  if (wrong < 0) return undefined;
  return `expected ${String(expect[wrong])}${expect.length === 1 ? '' : ` in row ${wrong + 1}`}, got ${String(predictions[wrong])}`;
}

function isRight(expected: number | string, got: number | string | bigint | undefined, tolerance?: number): boolean {
  if (typeof expected === 'string' || typeof got === 'string') return String(expected) === String(got);
  if (got === undefined) return false;
  return Math.abs(Number(got) - expected) <= (tolerance ?? 1e-6 + 0.01 * Math.abs(expected));
}
