/** What an upstream's answer is worth: its status, and the predictions in it. */
import type { AnswerHead } from '../runtimes/upstream-call.ts';
import type { Predictions } from './arm-outcome.ts';
import { parseJson } from './json-text.ts';
import type { Prediction } from './prediction-counts.ts';
import type { WireProtocol } from './wire/protocol.ts';

/** Answers up to this size are read for their predictions. */
export const READABLE_ANSWER_BYTES = 64 * 1024;

/**
 * How the version did by its status. The gateway chose the path and the method, so "not found" and "wrong method" are the
 * version's failure and not the caller's; so are "too slow" (408) and "too many" (429).
 */
export function verdictOfStatus(status: number): 'ok' | 'rejected' | 'failed' {
  if (status >= 500 || status === 404 || status === 405 || status === 408 || status === 429) return 'failed';
  return status >= 400 ? 'rejected' : 'ok';
}

/** Whether an answer is a prediction in JSON; streams of events and files are passed on unread. */
export function isReadable({ status, headers }: AnswerHead): boolean {
  const type = headers['content-type'];
  return (
    status === 200 && typeof type === 'string' && type.startsWith('application/json') && headers['content-encoding'] === undefined
  );
}

/** The length of an answer, when it says so and is small enough to be checked before anything is sent. */
export function isCheckable(head: AnswerHead): boolean {
  const length = head.headers['content-length'];
  return isReadable(head) && typeof length === 'string' && Number(length) <= READABLE_ANSWER_BYTES;
}

/** The predictions of an answer; undefined when it is no valid answer of its protocol. */
export function readPredictions(body: Buffer, protocol: WireProtocol): Predictions | undefined {
  let document: unknown;
  try {
    document = parseJson(body);
  } catch {
    return undefined;
  }
  const found = protocol.predictionsOf(document);
  if (found === undefined) return undefined;
  const values: Prediction[] = [];
  for (const item of found) {
    const value = scalarOf(item);
    if (value !== undefined) values.push(value);
  }
  // JSON does not tell a label from a measure; texts are labels, and so are numbers only by a signature that we do not have.
  return { values, isClass: values.length > 0 && typeof values[0] === 'string' };
}

/** The only value of a row, however deep its servers nest it. */
function scalarOf(item: unknown): Prediction | undefined {
  let value = item;
  while (Array.isArray(value) && value.length === 1) value = value[0];
  if (typeof value === 'number' || typeof value === 'string') return value;
  return typeof value === 'boolean' ? Number(value) : undefined;
}
