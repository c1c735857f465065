/**
 * One POST to an address that people gave us: to where was looked at, without redirects, within a deadline. Whoever sends
 * decides how much of the answer is read. Checks and webhooks send through it.
 */
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

export interface OutboundPost {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For everything: the name, the connection, as much of the answer as is read. */
  readonly timeoutMs: number;
  /** Ends the wait at once. */
  readonly stop: AbortSignal;
}

/** What came of it. `refused`: the policy forbids the address. `failed`: nobody answered. */
export type OutboundResult<Answer> =
  | { readonly outcome: 'answered'; readonly answer: Answer }
  | { readonly outcome: 'refused' | 'failed'; readonly problem: string };

/** Reads what it needs of a response of any status; the response is closed afterwards. */
export type ReadResponse<Answer> = (response: IncomingMessage) => Promise<Answer>;

/** Never throws: what goes wrong at the other end is an answer too. */
export async function postOutbound<Answer>(
  policy: AddressPolicy,
  asked: OutboundPost,
  read: ReadResponse<Answer>,
): Promise<OutboundResult<Answer>> {
  const signal = AbortSignal.any([AbortSignal.timeout(asked.timeoutMs), asked.stop]);
  try {
    const place = await Promise.race([placeOf(policy, asked.url), endOf(signal)]);
    if ('problem' in place) return { outcome: 'refused', problem: place.problem };
    const answer = await Promise.race([exchange(place, asked, { signal, read }), endOf(signal)]);
    return { outcome: 'answered', answer };
  } catch (error) {
    if (asked.stop.aborted) return { outcome: 'failed', problem: 'this process stopped meanwhile' };
    if (signal.aborted) return { outcome: 'failed', problem: `no answer within ${asked.timeoutMs / 1000} s` };
    return { outcome: 'failed', problem: reasonOf(error) };
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

interface Place {
  readonly url: URL;
  /** What the name led to when it was looked at: the connection goes there, whatever the name says next. */
  readonly address: string;
}

async function placeOf(policy: AddressPolicy, text: string): Promise<Place | { readonly problem: string }> {
  const problem = policy.problemOf(text);
  if (problem !== undefined) return { problem };
  const url = new URL(text);
  const address = await policy.resolve(url.hostname);
  const resolved = new URL(text);
  resolved.hostname = isIP(address) === 6 ? `[${address}]` : address;
  // A name may have come to lead to ourselves since the address was saved.
  const laterProblem = policy.problemOf(resolved.href);
  return laterProblem === undefined ? { url, address } : { problem: laterProblem };
}

async function exchange<Answer>(
  { url, address }: Place,
  { headers, body }: OutboundPost,
  { signal, read }: { readonly signal: AbortSignal; readonly read: ReadResponse<Answer> },
): Promise<Answer> {
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
  try {
    return await read(response);
  } finally {
    response.destroy();
  }
}

async function answerOf(request: ClientRequest, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // Stays to the end: an error of a request that was given up must not end the process.
    request.on('error', reject);
    request.on('response', resolve);
    request.end(body);
  });
}

function reasonOf(error: unknown): string {
  // What several addresses of a name failed with has no message of its own.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
