/** The events in the body of a request. What cannot be read is answered with 400, as SDKs stop sending for good on 413 and 415. */
import { AppError } from '@understudy/core/errors';
import type { JsonValue } from '@understudy/core/flags/context';
import type { JsonBody } from '../edge/json-body.ts';

/** An SDK holds back 10 000 events at most; also the limit of what a compressed body unfolds to. */
export const MAX_EVENT_BYTES = 16 * 1024 * 1024;

/** @throws AppError `request.invalid` when the body is empty */
export function eventsOf(body: JsonBody | undefined): readonly JsonValue[] {
  const events = body?.value;
  if (events === undefined) throw new AppError('request.invalid', 'the events cannot be read: the body is empty');
  // The Node SDK repeats a diagnostic event that failed here instead of there, as a single object.
  return Array.isArray(events) ? events : [events];
}
