/** Asks the provider of a check. The poller and the look at the start of a rollout depend on it. */
import type { CheckConfig, PrometheusCheck, WebhookCheck } from '@understudy/core/checks/config';
import type { Answer } from '@understudy/core/checks/measurement';
import { type CheckSubject, fillTemplate } from '@understudy/core/checks/template';
import type { AddressPolicy } from '../outbound-post.ts';
import { type CheckResponse, send } from './check-request.ts';
import { authorizationFor, type ReadVariable } from './check-secret.ts';
import { readPrometheus } from './prometheus-answer.ts';
import { readWebhook, tidied } from './webhook-answer.ts';

export interface CheckAsker {
  /** Asks once. Never throws: what keeps the provider from answering is an answer too. */
  ask(check: CheckConfig, subject: CheckSubject): Promise<Answer>;
  /** Why a check can never be asked as things are: its address is forbidden, its secret is missing. */
  refusalOf(check: CheckConfig): string | undefined;
  /** Why the address of a check may not be called. */
  addressProblemOf(check: CheckConfig): string | undefined;
  /** Ends every wait for an answer. */
  stop(): void;
}

export interface CheckAskerOptions {
  readonly addresses: AddressPolicy;
  readonly readVariable: ReadVariable;
  /** For one request; {@link TIMEOUT_MS} when left out. */
  readonly timeoutMs?: number;
}

/** A query that takes longer than this is too heavy to be asked again and again. */
const TIMEOUT_MS = 10_000;

export function openCheckAsker({ addresses, readVariable, timeoutMs = TIMEOUT_MS }: CheckAskerOptions): CheckAsker {
  const stopping = new AbortController();

  async function post(
    { url, auth }: PrometheusCheck | WebhookCheck,
    message: { readonly url: string; readonly type: string; readonly body: string },
  ): Promise<CheckResponse> {
    const authorization = authorizationFor(auth, url, readVariable);
    if ('problem' in authorization) return authorization;
    const { type, body } = message;
    const headers = {
      'content-type': type,
      accept: 'application/json',
      'user-agent': 'understudy-checks',
      ...authorization.headers,
    };
    return send(addresses, { url: message.url, headers, body, timeoutMs, stop: stopping.signal });
  }

  async function query(source: PrometheusCheck, promql: string): Promise<ReturnType<typeof readPrometheus>> {
    const url = `${source.url.replace(/\/+$/, '')}/api/v1/query`;
    const body = new URLSearchParams({ query: promql, timeout: `${timeoutMs}ms` }).toString();
    return readPrometheus(await post(source, { url, type: 'application/x-www-form-urlencoded', body }));
  }

  async function askPrometheus(source: PrometheusCheck, subject: CheckSubject): Promise<Answer> {
    const [value, baseline] = await Promise.all([
      query(source, fillTemplate(source.query, subject)),
      source.baseline === undefined ? undefined : query(source, fillTemplate(source.baseline, subject)),
    ]);
    if (value.outcome === 'error' || baseline === undefined) return value;
    if (baseline.outcome !== 'value') return { ...baseline, reason: `of the baseline: ${baseline.reason}` };
    return value.outcome === 'value' ? { ...value, baseline: baseline.value } : value;
  }

  async function askWebhook(check: string, source: WebhookCheck, subject: CheckSubject): Promise<Answer> {
    const body = JSON.stringify({ check, ...subject });
    return readWebhook(await post(source, { url: source.url, type: 'application/json', body }));
  }

  return {
    async ask({ name, source }, subject) {
      return tidied(
        source.kind === 'prometheus' ? await askPrometheus(source, subject) : await askWebhook(name, source, subject),
      );
    },
    refusalOf({ source }) {
      const problem = addresses.problemOf(source.url);
      if (problem !== undefined) return `may not call ${source.url}: ${problem}`;
      const authorization = authorizationFor(source.auth, source.url, readVariable);
      return 'problem' in authorization ? `has no secret to send: ${authorization.problem}` : undefined;
    },
    addressProblemOf({ source }) {
      return addresses.problemOf(source.url);
    },
    stop: () => stopping.abort(),
  };
}
