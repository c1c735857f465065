/** A server that answers as it is told to, in the place of other people's. Only tests depend on it. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { AddressPolicy } from '../outbound-post.ts';

/** A request as it came. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface TestProvider extends AsyncDisposable {
  readonly url: string;
  /** Every request so far, the newest last. */
  readonly received: readonly Received[];
  /** How it answers from now on. */
  answer: (response: ServerResponse, request: Received) => void;
}

/** Lets everything be called, and knows this machine alone. */
export const ANY_ADDRESS: AddressPolicy = { problemOf: () => undefined, resolve: async () => '127.0.0.1' };

export async function openTestProvider(): Promise<TestProvider> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const take = async (): Promise<void> => {
      const { method = '', url: path = '', headers } = request;
      const one = { method, path, headers, body: await text(request) };
      received.push(one);
      provider.answer(response, one);
    };
    take().catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  const { promise: isListening, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await isListening;
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const provider: TestProvider = {
    url: `http://127.0.0.1:${port}`,
    received,
    answer: (response) => response.end(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => {
        server.close(closed);
      });
    },
  };
  return provider;
}

/** Answers with JSON. */
export function json(body: unknown, status = 200): TestProvider['answer'] {
  return (response) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Answers as Prometheus does, when a query gives a vector of these values. */
export function vector(...values: readonly string[]): TestProvider['answer'] {
  const result = values.map((value, index) => ({ metric: { pod: `p${index}` }, value: [1_700_000_000.123, value] }));
  return json({ status: 'success', data: { resultType: 'vector', result } });
}
