/** Values of flags as callers ask for them: typed, with a default, never throwing. Local and remote flags share it. */
import type { JsonValue } from '@understudy/core/flags/context';
import type { EvaluationReason } from '@understudy/core/flags/evaluation';
import type { Subject } from './subject.ts';

/** Why there is no value but the default. OpenFeature's codes. */
export type FlagErrorCode =
  | 'PROVIDER_NOT_READY'
  | 'FLAG_NOT_FOUND'
  | 'PARSE_ERROR'
  | 'TYPE_MISMATCH'
  | 'TARGETING_KEY_MISSING'
  | 'INVALID_CONTEXT'
  | 'GENERAL';

/** A value and why. */
export interface Details<T> {
  readonly flag: string;
  readonly value: T;
  /** Undefined when the flag gives no variant, and the value is the default. */
  readonly variant: string | undefined;
  readonly reason: EvaluationReason;
  /** Of the documents that the answer comes from; undefined while there are none. */
  readonly revision: number | undefined;
  /** Undefined when all went well. */
  readonly errorCode: FlagErrorCode | undefined;
  readonly errorMessage: string | undefined;
}

/** An answer before it is brought to the type that was asked for; without a value the default counts. */
export type RawAnswer = Omit<Details<JsonValue | undefined>, 'flag'>;

/** Asks for values on behalf of a subject. Nothing here ever throws: what goes wrong gives the default, and details say why. */
export interface FlagValues {
  boolean(flag: string, subject: Subject, fallback: boolean): boolean;
  string(flag: string, subject: Subject, fallback: string): string;
  number(flag: string, subject: Subject, fallback: number): number;
  json(flag: string, subject: Subject, fallback: JsonValue): JsonValue;
  booleanDetails(flag: string, subject: Subject, fallback: boolean): Details<boolean>;
  stringDetails(flag: string, subject: Subject, fallback: string): Details<string>;
  numberDetails(flag: string, subject: Subject, fallback: number): Details<number>;
  jsonDetails(flag: string, subject: Subject, fallback: JsonValue): Details<JsonValue>;
}

/** The same for one subject that is known already. */
export interface OwnFlagValues {
  boolean(flag: string, fallback: boolean): boolean;
  string(flag: string, fallback: string): string;
  number(flag: string, fallback: number): number;
  json(flag: string, fallback: JsonValue): JsonValue;
  booleanDetails(flag: string, fallback: boolean): Details<boolean>;
  stringDetails(flag: string, fallback: string): Details<string>;
  numberDetails(flag: string, fallback: number): Details<number>;
  jsonDetails(flag: string, fallback: JsonValue): Details<JsonValue>;
}

/** @param answer never throws */
export function openFlagValues(answer: (flag: string, subject: Subject) => RawAnswer): FlagValues {
  const values: Omit<FlagValues, 'boolean' | 'string' | 'number' | 'json'> = {
    booleanDetails: (flag, subject, fallback) =>
      typedDetails(flag, answer(flag, subject), { fallback, isType: isBoolean, type: 'boolean' }),
    stringDetails: (flag, subject, fallback) =>
      typedDetails(flag, answer(flag, subject), { fallback, isType: isString, type: 'string' }),
    numberDetails: (flag, subject, fallback) =>
      typedDetails(flag, answer(flag, subject), { fallback, isType: isNumber, type: 'number' }),
    jsonDetails: (flag, subject, fallback) =>
      typedDetails(flag, answer(flag, subject), { fallback, isType: isJson, type: 'JSON' }),
  };
  return {
    ...values,
    boolean: (flag, subject, fallback) => values.booleanDetails(flag, subject, fallback).value,
    string: (flag, subject, fallback) => values.stringDetails(flag, subject, fallback).value,
    number: (flag, subject, fallback) => values.numberDetails(flag, subject, fallback).value,
    json: (flag, subject, fallback) => values.jsonDetails(flag, subject, fallback).value,
  };
}

/** @param answer never throws */
export function openOwnFlagValues(answer: (flag: string) => RawAnswer): OwnFlagValues {
  const values = openFlagValues(answer);
  return {
    boolean: (flag, fallback) => values.boolean(flag, '', fallback),
    string: (flag, fallback) => values.string(flag, '', fallback),
    number: (flag, fallback) => values.number(flag, '', fallback),
    json: (flag, fallback) => values.json(flag, '', fallback),
    booleanDetails: (flag, fallback) => values.booleanDetails(flag, '', fallback),
    stringDetails: (flag, fallback) => values.stringDetails(flag, '', fallback),
    numberDetails: (flag, fallback) => values.numberDetails(flag, '', fallback),
    jsonDetails: (flag, fallback) => values.jsonDetails(flag, '', fallback),
  };
}

/** An answer without a value. */
export function failedAnswer(errorCode: FlagErrorCode, errorMessage: string, revision?: number): RawAnswer {
  return { value: undefined, variant: undefined, reason: 'ERROR', revision, errorCode, errorMessage };
}

/** The answer as the type that was asked for. */
function typedDetails<T extends JsonValue>(
  flag: string,
  answer: RawAnswer,
  wanted: { readonly fallback: T; readonly isType: (value: JsonValue) => value is T; readonly type: string },
): Details<T> {
  const { value } = answer;
  if (value === undefined || value === null) return { ...answer, flag, value: wanted.fallback };
  if (wanted.isType(value)) {
    const { variant, reason, revision, errorCode, errorMessage } = answer;
    return { flag, value, variant, reason, revision, errorCode, errorMessage };
  }
  const message = `flag "${flag}" has a value of the type ${typeof value}, not ${wanted.type}`;
  return { ...failedAnswer('TYPE_MISMATCH', message, answer.revision), flag, value: wanted.fallback };
}

const isBoolean = (value: JsonValue): value is boolean => typeof value === 'boolean';
const isString = (value: JsonValue): value is string => typeof value === 'string';
const isNumber = (value: JsonValue): value is number => typeof value === 'number';
const isJson = (_value: JsonValue): _value is JsonValue => true;
