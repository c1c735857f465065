/** A request to the control plane, checked against the contract before it is sent, or shown instead of being sent. */
import type { CallInput } from '@understudy/contract/client';
import type { Endpoint } from '@understudy/contract/endpoint';
import { type EndpointName, ENDPOINTS } from '@understudy/contract/endpoints';
import { describeProblems } from '@understudy/contract/problems';
import type { z } from 'zod';
import { UsageError } from './usage-error.ts';

/** What would be sent. */
export interface PlannedRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

interface LooseInput {
  readonly params?: object;
  readonly query?: object;
  readonly body?: unknown;
}

/** @throws UsageError naming every value that the contract does not allow */
export function planRequest<Name extends EndpointName>(name: Name, input: CallInput<Name>): PlannedRequest {
  const endpoint: Endpoint = ENDPOINTS[name];
  const { params = {}, query = {}, body }: LooseInput = input;
  const checked = new Map(Object.entries(check(endpoint.params, params)));
  const path = endpoint.path.replaceAll(/:([a-z]+)/g, (_, key: string) => encodeURIComponent(String(checked.get(key))));
  const search = new URLSearchParams(
    Object.entries(query).map(([key, value]): [string, string] => [key, String(value)]),
  ).toString();
  const address = `/api/v1${path}${search === '' ? '' : `?${search}`}`;
  if (endpoint.body === 'none') return { method: endpoint.method, path: address };
  if (endpoint.body === 'binary') return { method: endpoint.method, path: address, body: '(the bytes of the file)' };
  return { method: endpoint.method, path: address, body: check(endpoint.body, body) };
}

function check(schema: z.ZodType, value: unknown): object {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new UsageError(describeProblems(parsed.error));
  return typeof parsed.data === 'object' && parsed.data !== null ? parsed.data : {};
}
