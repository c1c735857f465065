/** Pairs as other systems read them: one JSON object a line, or CloudEvents. The API renders them by `Accept`, the command line too. */
import type { PairExample } from '@understudy/core/pairs';
import { z } from 'zod';
import type { Rendering } from './endpoint.ts';
import { PairExampleSchema } from './report.ts';

/** Where pairs come from. */
export interface PairSource {
  readonly model: string;
}

const Rows = z.array(PairExampleSchema);
const Source = z.object({ model: z.string() });

/** One pair a line, flat: what a log of both models would say. */
export function ndjsonOf(pairs: readonly PairExample[], { model }: PairSource): string {
  return pairs.map((pair) => `${JSON.stringify({ model, ...recordOf(pair) })}\n`).join('');
}

/**
 * Structured CloudEvents 1.0, one a pair. The id is the request's, so that an event that is sent twice is known to be one.
 * @returns the array of `application/cloudevents-batch+json`
 */
export function cloudEventsOf(pairs: readonly PairExample[], { model }: PairSource): readonly object[] {
  return pairs.map((pair) => ({
    specversion: '1.0',
    type: 'io.understudy.shadow.pair.v1',
    source: `/understudy/models/${model}/shadow`,
    id: pair.requestId,
    time: new Date(pair.atMs).toISOString(),
    subject: pair.shadow.version,
    datacontenttype: 'application/json',
    data: recordOf(pair),
  }));
}

/** The media types other than JSON in which a list of pairs is answered. */
export const PAIR_RENDERINGS: Readonly<Record<string, Rendering>> = {
  'application/x-ndjson': (answer, params) => ndjsonOf(Rows.parse(answer), Source.parse(params)),
  'application/cloudevents-batch+json': (answer, params) =>
    JSON.stringify(cloudEventsOf(Rows.parse(answer), Source.parse(params))),
};

function recordOf({ requestId, atMs, champion, shadow, difference, request }: PairExample): object {
  return {
    requestId,
    time: new Date(atMs).toISOString(),
    championVersion: champion.version,
    championPrediction: champion.prediction ?? null,
    championLatencyMs: champion.ms,
    ...(champion.failure === undefined ? {} : { championFailure: champion.failure }),
    shadowVersion: shadow.version,
    shadowPrediction: shadow.prediction ?? null,
    shadowLatencyMs: shadow.ms,
    ...(shadow.failure === undefined ? {} : { shadowFailure: shadow.failure }),
    difference,
    ...(request === undefined ? {} : { request }),
  };
}
