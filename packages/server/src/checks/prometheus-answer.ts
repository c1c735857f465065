/** Reads what a Prometheus, or what speaks like one, answers to an instant query: one number, nothing, or why not. */
import { parseJson } from '@understudy/contract/parsed-json';
import type { Sample } from '@understudy/core/checks/measurement';
import { z } from 'zod';
import type { CheckResponse } from './check-request.ts';

/** What a query came to. */
export type QueryResult =
  | { readonly outcome: 'value'; readonly value: Sample }
  | { readonly outcome: 'no-data'; readonly reason: string }
  | { readonly outcome: 'error'; readonly reason: string };

const ScalarSample = z.tuple([z.number(), z.string()]);

/** Fields that we do not know are others' business. */
const Success = z.object({
  status: z.literal('success'),
  warnings: z.array(z.string()).optional(),
  data: z.discriminatedUnion('resultType', [
    z.object({ resultType: z.literal('scalar'), result: ScalarSample }),
    z.object({ resultType: z.literal('vector'), result: z.array(z.object({ value: ScalarSample.optional() })) }),
    z.object({ resultType: z.literal('matrix') }),
    z.object({ resultType: z.literal('string') }),
  ]),
});
type Success = z.infer<typeof Success>;

const Failure = z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() });

export function readPrometheus(response: CheckResponse): QueryResult {
  if ('problem' in response) return { outcome: 'error', reason: response.problem };
  const { status, text } = response;
  const body = parseJson(text);
  const failure = Failure.safeParse(body);
  if (failure.success) return error(`HTTP ${status}, ${failure.data.errorType}: ${failure.data.error}`);
  if (status !== 200) return error(`HTTP ${status}`);
  const success = Success.safeParse(body);
  if (!success.success) return error('its answer is not that of the query API of Prometheus');
  const [warning] = success.data.warnings ?? [];
  // Such as a part of the stores that could not be asked: a number from the others would pass for the whole.
  if (warning !== undefined) return error(`answered with a warning: ${warning}`);
  return valueOf(success.data.data);
}

function valueOf(data: Success['data']): QueryResult {
  switch (data.resultType) {
    case 'scalar':
      return sampleOf(data.result[1]);
    case 'vector': {
      const [first, ...others] = data.result;
      if (first === undefined) return { outcome: 'no-data', reason: 'the query matches no series' };
      if (others.length > 0) return error(`the query gives ${data.result.length} series; make it one, such as by sum(…)`);
      if (first.value === undefined)
        return error('the query gives a histogram; make it a number, such as by histogram_quantile(…)');
      return sampleOf(first.value[1]);
    }
    case 'matrix':
      return error('the query gives a range of values; make it one, such as by rate(…)');
    case 'string':
      return error('the query gives a text; make it a number');
  }
}

function sampleOf(text: string): QueryResult {
  if (text === 'NaN') return { outcome: 'no-data', reason: 'the query gives NaN, as 0 / 0 does' };
  if (text === '+Inf' || text === '-Inf') return { outcome: 'value', value: text };
  const value = /^[+-]?[\d.]+(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? { outcome: 'value', value } : error(`"${text}" is not a number`);
}

function error(reason: string): QueryResult {
  return { outcome: 'error', reason };
}
