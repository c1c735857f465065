/** One request to a provider of a check: to the address that was looked at, without redirects, within a deadline, of bounded size. */
import { type ClientRequest, type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP } from 'node:net';

/** What may be called, decided elsewhere. */
export interface AddressPolicy {
  /** Why an address may not be called; undefined when it may. */
  problemOf(url: string): string | undefined;
  /** The IP address to connect to. @throws AppError when the name leads to one that is forbidden, or to none */
  resolve(hostname: string): Promise<string>;
}

export interface CheckRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For everything: the name, the connection, the whole answer. */
  readonly timeoutMs: number;
  /** Ends the wait at once. */
  readonly stop: AbortSignal;
}

/** What came back: an answer of any status, or why there is none. */
export type CheckResponse = { readonly status: number; readonly text: string } | { readonly problem: string };

/** Prometheus answers a number in some hundred bytes; what is larger is no answer to our question. */
const MOST_BYTES = 1024 * 1024;

/** Never throws: what goes wrong at the other end is an answer too. */
export async function send(policy: AddressPolicy, asked: CheckRequest): Promise<CheckResponse> {
  const signal = AbortSignal.any([AbortSignal.timeout(asked.timeoutMs), asked.stop]);
  try {
    return await Promise.race([post(policy, asked, signal), endOf(signal)]);
  } catch (error) {
    if (asked.stop.aborted) return { problem: 'this process stopped meanwhile' };
    if (signal.aborted) return { problem: `no answer within ${asked.timeoutMs / 1000} s` };
    return { problem: reasonOf(error) };
  }
}

/** Rejects when time is up: a name server may be slow, and nothing else would end the wait. */
async function endOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const giveUp = (): void => reject(new Error('time is up'));
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
}

async function post(
  policy: AddressPolicy,
  { url: text, headers, body }: CheckRequest,
  signal: AbortSignal,
): Promise<CheckResponse> {
  const problem = policy.problemOf(text);
  if (problem !== undefined) return { problem: `the address may not be called: ${problem}` };
  const url = new URL(text);
  const address = await policy.resolve(url.hostname);
  const resolved = new URL(text);
  resolved.hostname = isIP(address) === 6 ? `[${address}]` : address;
  // A name may have come to lead to ourselves since the plan was saved.
  const laterProblem = policy.problemOf(resolved.href);
  if (laterProblem !== undefined) return { problem: `the address may not be called: ${laterProblem}` };
  const isTls = url.protocol === 'https:';
  const bare = url.hostname.replace(/^\[|\]$/g, '');
  const options = {
    host: address,
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    path: url.pathname + url.search,
    method: 'POST',
    agent: false,
    signal,
    headers: { ...headers, host: url.host, 'accept-encoding': 'identity', 'content-length': Buffer.byteLength(body) },
    ...(isTls && isIP(bare) === 0 ? { servername: bare } : {}),
  };
  const response = await answerOf(isTls ? requestTls(options) : requestPlain(options), body);
  return readAnswer(response);
}

async function answerOf(request: ClientRequest, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // Stays to the end: an error of a request that was given up must not end the process.
    request.on('error', reject);
    request.on('response', resolve);
    request.end(body);
  });
}

async function readAnswer(response: IncomingMessage): Promise<CheckResponse> {
  const { statusCode: status = 0, headers } = response;
  try {
    if (status >= 300 && status < 400) return { problem: `it redirects (HTTP ${status}), and redirects are not followed` };
    if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity') {
      return { problem: `its answer is encoded as ${headers['content-encoding']}, which was not asked for` };
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of response) {
      const part = Buffer.from(chunk);
      bytes += part.length;
      if (bytes > MOST_BYTES) return { problem: 'its answer is larger than 1 MiB' };
      chunks.push(part);
    }
    return { status, text: Buffer.concat(chunks).toString('utf8') };
  } finally {
    response.destroy();
  }
}

function reasonOf(error: unknown): string {
  // What several addresses of a name failed with has no message of its own.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
