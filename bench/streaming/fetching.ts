// Fetches with connections that stay open, one for each client that asks at the same time, as clients on machines of their own have.
import { Agent, request } from 'node:http';

const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: Infinity });

export interface Question {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Posted when given. */
  readonly body?: string;
}

/** @throws Error when the answer is not 200 */
export async function fetchText({ url, headers, body }: Question): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const sent = request(url, { agent, method: body === undefined ? 'GET' : 'POST', headers });
  sent.on('error', reject);
  sent.on('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    response.on('error', reject);
    response.on('end', () => {
      if (response.statusCode === 200) resolve(text);
      else reject(new Error(`${response.statusCode} at ${url}: ${text.slice(0, 200)}`));
    });
  });
  sent.end(body);
  return await promise;
}
