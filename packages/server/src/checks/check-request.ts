/** One request to a provider of a check, and as much of its answer as a measurement may be. */
import type { IncomingMessage } from 'node:http';
import { boundedBytes } from '../bounded-bytes.ts';
import { type AddressPolicy, type OutboundPost, postOutbound } from '../outbound-post.ts';

/** What came back: an answer of any status, or why there is none. */
export type CheckResponse = { readonly status: number; readonly text: string } | { readonly problem: string };

/** Prometheus answers a number in some hundred bytes; what is larger is no answer to our question. */
const MOST_BYTES = 1024 * 1024;

/** Never throws: what goes wrong at the other end is an answer too. */
export async function send(policy: AddressPolicy, asked: OutboundPost): Promise<CheckResponse> {
  const plain = { ...asked, headers: { ...asked.headers, 'accept-encoding': 'identity' } };
  const result = await postOutbound(policy, plain, readAnswer);
  if (result.outcome === 'answered') return result.answer;
  const { outcome, problem } = result;
  return { problem: outcome === 'refused' ? `the address may not be called: ${problem}` : problem };
}

async function readAnswer(response: IncomingMessage): Promise<CheckResponse> {
  const { statusCode: status = 0, headers } = response;
  if (status >= 300 && status < 400) return { problem: `it redirects (HTTP ${status}), and redirects are not followed` };
  if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity') {
    return { problem: `its answer is encoded as ${headers['content-encoding']}, which was not asked for` };
  }
  const bytes = await boundedBytes(response, MOST_BYTES);
  return bytes === undefined ? { problem: 'its answer is larger than 1 MiB' } : { status, text: bytes.toString('utf8') };
}
