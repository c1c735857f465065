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

/** What there is to do with an answer, by its head. */
export interface HeadReading {
  readonly verdict: 'ok' | 'rejected' | 'failed';
  /** Whether it is a prediction in JSON; streams of events and files are passed on unread. */
  readonly isReadable: boolean;
  /** Whether it says its length and is small enough to be checked before anything is sent. */
  readonly isCheckable: boolean;
}

// Heads that repeat are one object (http1-response-parser.ts), so they are read once, too.
const readings = new WeakMap<AnswerHead, HeadReading>();

/** Reads the head of an answer. */
export function readingOf(head: AnswerHead): HeadReading {
  const known = readings.get(head);
  if (known !== undefined) return known;
  const { status, headers } = head;
  const [type, length] = [headers['content-type'], headers['content-length']];
  const isJson = typeof type === 'string' && type.startsWith('application/json') && headers['content-encoding'] === undefined;
  const isReadable = status === 200 && isJson;
  const isCheckable = isReadable && typeof length === 'string' && Number(length) <= READABLE_ANSWER_BYTES;
  const reading = { verdict: verdictOfStatus(status), isReadable, isCheckable };
  readings.set(head, reading);
  return reading;
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
