/** What a server evaluated for one context, read from its answer in OFREP's form. Remote flags depend on it. */
import type { JsonValue } from '@understudy/core/flags/context';
import type { EvaluationReason } from '@understudy/core/flags/evaluation';
import { failedAnswer, type FlagErrorCode, type RawAnswer } from './flag-values.ts';
import { isRecord, listOf, record, text } from './shape.ts';

/** Every flag's answer for one context. */
export interface RemoteValues {
  /** The entity tag of the answer. */
  readonly id: string;
  readonly revision: number | undefined;
  readonly environment: string | undefined;
  readonly answers: ReadonlyMap<string, RawAnswer>;
  /** Path of the event stream that tells of changes; undefined when the server has none. */
  readonly eventsAt: string | undefined;
}

/** Values, or why there are none. */
export type RemoteReading =
  | { readonly outcome: 'read'; readonly values: RemoteValues }
  | { readonly outcome: 'invalid'; readonly problem: string };

const REASONS: Readonly<Record<string, EvaluationReason>> = {
  STATIC: 'STATIC',
  DEFAULT: 'DEFAULT',
  TARGETING_MATCH: 'TARGETING_MATCH',
  SPLIT: 'SPLIT',
  DISABLED: 'DISABLED',
  // OFREP's word for a flag whose rules did not apply.
  UNKNOWN: 'DEFAULT',
};
const ERROR_CODES: readonly FlagErrorCode[] = ['FLAG_NOT_FOUND', 'PARSE_ERROR', 'TARGETING_KEY_MISSING', 'INVALID_CONTEXT'];

const answerShape = record({ flags: listOf(record({ key: text })) });

/** Never throws. */
export function readRemoteValues(id: string, body: string): RemoteReading {
  try {
    const value: unknown = JSON.parse(body);
    const problem = answerShape(value, 'answer');
    if (problem !== undefined || !isRecord(value)) return { outcome: 'invalid', problem: problem ?? 'it is no object' };
    const metadata = isRecord(value['metadata']) ? value['metadata'] : {};
    const revision = typeof metadata['revision'] === 'number' ? metadata['revision'] : undefined;
    const environment = typeof metadata['environment'] === 'string' ? metadata['environment'] : undefined;
    const flags: readonly unknown[] = Array.isArray(value['flags']) ? value['flags'] : [];
    const answers = new Map(flags.filter(isRecord).map((flag) => [String(flag['key']), answerOf(flag, revision)]));
    return { outcome: 'read', values: { id, revision, environment, answers, eventsAt: eventsAt(value['eventStreams']) } };
  } catch (error) {
    return { outcome: 'invalid', problem: error instanceof Error ? error.message : String(error) };
  }
}

function answerOf(flag: Record<string, unknown>, revision: number | undefined): RawAnswer {
  const { value, variant, reason, errorCode, errorDetails } = flag;
  if (errorCode !== undefined) {
    const code = ERROR_CODES.find((known) => known === errorCode) ?? 'GENERAL';
    return failedAnswer(code, String(errorDetails), revision);
  }
  return {
    value: isJsonValue(value) ? value : undefined,
    variant: typeof variant === 'string' && variant !== '' ? variant : undefined,
    reason: (typeof reason === 'string' ? REASONS[reason] : undefined) ?? 'DEFAULT',
    revision,
    errorCode: undefined,
    errorMessage: undefined,
  };
}

/** Whatever came out of JSON is JSON. */
function isJsonValue(value: unknown): value is JsonValue {
  return value !== undefined;
}

function eventsAt(streams: unknown): string | undefined {
  const [first]: readonly unknown[] = Array.isArray(streams) ? streams : [];
  const endpoint = isRecord(first) && isRecord(first['endpoint']) ? first['endpoint'] : {};
  const path = endpoint['requestUri'];
  // Of the same server only: another address would get what the path tells.
  return typeof path === 'string' && /^\/(?!\/)/.test(path) ? path : undefined;
}

/** The keys of flags whose answers differ. */
export function changedAnswers(before: RemoteValues | undefined, after: RemoteValues): readonly string[] {
  const textOf = (values: RemoteValues | undefined, key: string): string => {
    const { revision: _revision, ...answer } = values?.answers.get(key) ?? { revision: undefined };
    return JSON.stringify(answer);
  };
  const keys = new Set([...(before?.answers.keys() ?? []), ...after.answers.keys()]);
  return [...keys].filter((key) => textOf(before, key) !== textOf(after, key)).toSorted((a, b) => (a < b ? -1 : 1));
}
