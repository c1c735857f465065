/** Sends a batch of reports once. What becomes of it, and whether to send it again, is decided by whoever calls. */
import { boundedText } from '@understudy/feed/bounded-text';
import type { QueuedEntry } from './outcome-queue.ts';
import type { FeedPorts } from '@understudy/feed/ports';
import { sentenceOf } from '@understudy/feed/problem';
import type { TellProblem } from './problem.ts';
import { SDK_RELEASE } from './release.ts';
import { isRecord } from './shape.ts';

/** `taken`: answered, now or before. `unusable`: the server will never take it. `failed`, `refused`: it may later. */
export type BatchResult = 'taken' | 'unusable' | 'failed' | 'refused';

/** Reports under one number. */
export interface Batch {
  readonly count: number;
  readonly oldestAtMs: number;
  readonly body: string;
}

export interface OutcomeSender {
  batchOf(entries: readonly QueuedEntry[]): Batch;
  /** Never rejects. */
  send(batch: Batch, signal: AbortSignal): Promise<BatchResult>;
}

export interface OutcomeSenderOptions {
  readonly url: string;
  readonly key: string;
  readonly reporter: string;
  readonly stratum?: string;
  readonly tell: TellProblem;
  readonly ports: FeedPorts;
}

const ANSWER_MS = 10_000;
const MAX_ANSWER_LENGTH = 64 * 1024;
// Another server may be there in a moment, and these statuses say so.
const PASSING = new Set([408, 425, 429]);

export function openOutcomeSender(options: OutcomeSenderOptions): OutcomeSender {
  const { reporter, stratum, ports, tell } = options;
  // Something new at each start, so that the numbers may begin again.
  const boot = `${ports.nowMs().toString(36)}-${Math.floor(ports.random() * 2 ** 48).toString(36)}`;
  let sequence = -1;
  return {
    batchOf(entries) {
      sequence += 1;
      const texts = (kind: QueuedEntry['kind']): string =>
        entries
          .filter((entry) => entry.kind === kind)
          .map(({ text }) => text)
          .join(',');
      const head = JSON.stringify({ reporter, boot, sequence, stratum }).slice(0, -1);
      return {
        count: entries.length,
        oldestAtMs: entries.reduce((oldest, { atMs }) => Math.min(oldest, atMs), Number.POSITIVE_INFINITY),
        body: `${head},"observations":[${texts('observation')}],"counts":[${texts('count')}]}`,
      };
    },
    async send({ body }, closing) {
      const deadline = new AbortController();
      const stop = (): void => deadline.abort(new Error('closed'));
      closing.addEventListener('abort', stop);
      const cancel = ports.after(ANSWER_MS, () => deadline.abort(new Error(`no answer within ${ANSWER_MS} ms`)));
      try {
        return await resultOf(await post(options, body, deadline.signal), tell);
      } catch (error) {
        if (!closing.aborted) tell({ code: 'server.unreachable', message: `reports wait: ${sentenceOf(error)}` });
        return 'failed';
      } finally {
        cancel();
        closing.removeEventListener('abort', stop);
      }
    },
  };
}

function post({ url, key, ports }: OutcomeSenderOptions, body: string, signal: AbortSignal): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'x-understudy-sdk': SDK_RELEASE };
  const init = { method: 'POST', headers, body, signal, redirect: 'error' } as const;
  return ports.fetch(`${url.replace(/\/+$/, '')}/api/v1/observations`, init);
}

async function resultOf(response: Response, tell: TellProblem): Promise<BatchResult> {
  const { status } = response;
  const { text } = await boundedText(response, MAX_ANSWER_LENGTH);
  if (status === 200) {
    const left = leftOut(text);
    if (left !== undefined) tell({ code: 'outcomes.refused', message: `the server leaves reports out: ${left}` });
    return 'taken';
  }
  if (status === 401 || status === 403) {
    tell({ code: 'key.refused', message: `reports wait: the server answers ${status}: ${text}` });
    return 'refused';
  }
  if (status >= 500 || PASSING.has(status)) {
    tell({ code: 'server.refused', message: `reports wait: the server answers ${status}: ${text}` });
    return 'failed';
  }
  tell({ code: 'outcomes.refused', message: `the server answers ${status} to reports: ${text}` });
  return 'unusable';
}

/** Why the server left some out; undefined when it took all. */
function leftOut(text: string): string | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    const ignored: unknown = isRecord(answer) ? answer['ignored'] : undefined;
    if (!Array.isArray(ignored) || ignored.length === 0) return undefined;
    return ignored.map((one: unknown) => (isRecord(one) ? String(one['reason']) : '')).join('; ');
  } catch {
    return undefined;
  }
}
