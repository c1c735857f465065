/** Flags of one state as OFREP answers them, as text: a number's literal says whether it is an integer. The OFREP protocol depends on it. */
import type { Context, JsonValue } from '@understudy/core/flags/context';
import type { Evaluation, EvaluationDetail } from '@understudy/core/flags/evaluation';
import type { Flag } from '@understudy/core/flags/flag';
import { isKeyMissing } from '@understudy/core/flags/missing-key';
import type { FlagState } from '../flag-world.ts';

/** Who asks, and when. */
export interface Question {
  readonly context: Context;
  readonly hasTargetingKey: boolean;
  readonly atMs: number;
}

/** One flag's answer with the status that it has when it is asked for alone. */
export interface FlagAnswer {
  readonly status: 200 | 400 | 404;
  /** A JSON object without its last brace, so that fields can be added. */
  readonly open: string;
}

export interface FlagAnswers {
  readonly state: FlagState;
  readonly keys: readonly string[];
  answer(key: string, question: Question): FlagAnswer;
}

/** OFREP's codes for what went wrong with one flag. */
export type FlagErrorCode = 'FLAG_NOT_FOUND' | 'TARGETING_KEY_MISSING' | 'PARSE_ERROR' | 'INVALID_CONTEXT' | 'GENERAL';

/** Answers that follow from the document alone are written once. */
export function openFlagAnswers(state: FlagState): FlagAnswers {
  const flags = new Map(state.documents.flags.map((flag) => [flag.key, flag]));
  const segments = new Map(state.documents.segments.map((segment) => [segment.key, segment]));
  const floats = new Set(state.documents.flags.filter(isFloatFlag).map(({ key }) => key));
  const written = new WeakMap<Evaluation, FlagAnswer>();
  return {
    state,
    keys: state.evaluator.keys,
    answer(key, { context, hasTargetingKey, atMs }) {
      const evaluate = (asked: string): Evaluation => state.evaluator.evaluate(asked, context, { atMs, random: Math.random });
      const evaluation = evaluate(key);
      if (!hasTargetingKey && isKeyMissing(key, { flags, segments, context, detailOf: (asked) => evaluate(asked).detail })) {
        return failure(
          key,
          'TARGETING_KEY_MISSING',
          `flag "${key}" divides users by their targetingKey, and the context has none`,
        );
      }
      const known = written.get(evaluation);
      if (known !== undefined) return known;
      const answer = answerOf(evaluation, floats.has(key));
      written.set(evaluation, answer);
      return answer;
    },
  };
}

/** The answer to a flag that has none. */
export function failure(key: string, errorCode: FlagErrorCode, errorDetails: string): FlagAnswer {
  const status = errorCode === 'FLAG_NOT_FOUND' ? 404 : 400;
  return { status, open: JSON.stringify({ key, errorCode, errorDetails }).slice(0, -1) };
}

function answerOf(evaluation: Evaluation, isFloat: boolean): FlagAnswer {
  const { flag: key, value, variant, reason, detail } = evaluation;
  if (detail.kind === 'error') return failure(key, detail.code, detail.message);
  // The provider for Python cannot do without a variant.
  const head = JSON.stringify({ key, reason: REASONS[reason], variant: variant ?? '' }).slice(0, -1);
  // Without a value the SDK gives its caller's own default; a null would be a wrong type to it.
  const literal = value === undefined || value === null ? '' : `,"value":${literalOf(value, isFloat)}`;
  return { status: 200, open: `${head}${literal},"metadata":${JSON.stringify(metadataOf(detail)).slice(0, -1)}` };
}

/** OFREP has no DEFAULT, which is a flag whose rules did not apply; the metadata says what decided. */
const REASONS = {
  STATIC: 'STATIC',
  DEFAULT: 'UNKNOWN',
  TARGETING_MATCH: 'TARGETING_MATCH',
  SPLIT: 'SPLIT',
  DISABLED: 'DISABLED',
  ERROR: 'UNKNOWN',
} as const satisfies Record<Evaluation['reason'], string>;

function metadataOf(detail: EvaluationDetail): object {
  if (detail.kind === 'prerequisite') return { decidedBy: detail.kind, prerequisite: detail.flag };
  if (detail.kind === 'rule') return { decidedBy: detail.kind, rule: detail.id ?? detail.index };
  return { decidedBy: detail.kind };
}

/** A flag of numbers has whole ones only when all its variants are whole: SDKs with both types refuse the other. */
function isFloatFlag({ type, variants }: Flag): boolean {
  return type === 'number' && variants.some(({ value }) => !Number.isSafeInteger(value));
}

function literalOf(value: JsonValue, isFloat: boolean): string {
  const text = JSON.stringify(value);
  return isFloat && /^-?\d+$/.test(text) ? `${text}.0` : text;
}
