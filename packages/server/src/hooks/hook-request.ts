/** One POST to a hook's address: to the address that was checked, without redirects, within a deadline, reading little of the answer. */
import { type ClientRequest, type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP } from 'node:net';

/** What may be called, decided elsewhere. */
export interface AddressPolicy {
  /** Why messages may not go to an address; undefined when they may. */
  problemOf(url: string): string | undefined;
  /** The IP address to connect to. @throws AppError when the name leads to one that is forbidden, or to none */
  resolve(hostname: string): Promise<string>;
}

export interface HookRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For everything: the name, the connection, the answer. */
  readonly timeoutMs: number;
  /** Ends the wait at once. */
  readonly stop: AbortSignal;
}

/** What came back. Anything but a status of 2xx is a failure, which `problem` says. */
export interface HookAnswer {
  readonly status?: number;
  readonly problem?: string;
}

// Nobody reads what a receiver answers; so much is taken so that its connection ends well.
const MOST_ANSWER_BYTES = 64 * 1024;

/** Never throws: what goes wrong at the other end is an answer too. */
export async function postToHook(policy: AddressPolicy, asked: HookRequest): Promise<HookAnswer> {
  const signal = AbortSignal.any([AbortSignal.timeout(asked.timeoutMs), asked.stop]);
  try {
    return await Promise.race([post(policy, asked, signal), abortOf(signal)]);
  } catch (error) {
    if (asked.stop.aborted) return { problem: 'this process stopped meanwhile' };
    if (signal.aborted) return { problem: `no answer within ${asked.timeoutMs / 1000} s` };
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** Rejects when time is up: a name server may be slow, and nothing else would end the wait. */
async function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const giveUp = (): void => reject(new Error('time is up'));
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
}

async function post(policy: AddressPolicy, { url: text, headers, body }: HookRequest, signal: AbortSignal): Promise<HookAnswer> {
  const problem = policy.problemOf(text);
  if (problem !== undefined) return { problem };
  const url = new URL(text);
  const address = await policy.resolve(url.hostname);
  const resolved = new URL(text);
  resolved.hostname = isIP(address) === 6 ? `[${address}]` : address;
  // A name may have come to lead to ourselves since the hook was made.
  const laterProblem = policy.problemOf(resolved.href);
  if (laterProblem !== undefined) return { problem: laterProblem };
  const isTls = url.protocol === 'https:';
  const bare = url.hostname.replace(/^\[|\]$/g, '');
  const options = {
    host: address,
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    path: url.pathname + url.search,
    method: 'POST',
    agent: false,
    signal,
    headers: { ...headers, host: url.host, 'content-length': Buffer.byteLength(body) },
    ...(isTls && isIP(bare) === 0 ? { servername: bare } : {}),
  };
  const response = await answerOf(isTls ? requestTls(options) : requestPlain(options), body);
  await readLittle(response);
  return verdictOf(response);
}

async function answerOf(request: ClientRequest, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', resolve);
    request.end(body);
  });
}

async function readLittle(response: IncomingMessage): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of response) {
      bytes += Buffer.byteLength(chunk);
      if (bytes > MOST_ANSWER_BYTES) break;
    }
  } finally {
    response.destroy();
  }
}

function verdictOf({ statusCode: status = 0, headers }: IncomingMessage): HookAnswer {
  if (status >= 200 && status < 300) return { status };
  if (status >= 300 && status < 400) {
    return {
      status,
      problem: `it redirects${headers.location === undefined ? '' : ' elsewhere'}, and redirects are not followed`,
    };
  }
  return { status, problem: `it answered ${status}` };
}
