/** One message to a hook's address, reading little of what it answers. */
import type { IncomingMessage } from 'node:http';
import { type AddressPolicy, type OutboundPost, postOutbound } from '../outbound-post.ts';

/** What came back. Anything but a status of 2xx is a failure, which `problem` says. */
export interface HookAnswer {
  readonly status?: number;
  readonly problem?: string;
}

// Nobody reads what a receiver answers; so much is taken so that its connection ends well.
const MOST_ANSWER_BYTES = 64 * 1024;

/** Never throws: what goes wrong at the other end is an answer too. */
export async function postToHook(policy: AddressPolicy, asked: OutboundPost): Promise<HookAnswer> {
  const result = await postOutbound(policy, asked, readLittle);
  return result.outcome === 'answered' ? result.answer : { problem: result.problem };
}

async function readLittle(response: IncomingMessage): Promise<HookAnswer> {
  let bytes = 0;
  for await (const chunk of response) {
    bytes += Buffer.byteLength(chunk);
    if (bytes > MOST_ANSWER_BYTES) break;
  }
  return verdictOf(response);
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
