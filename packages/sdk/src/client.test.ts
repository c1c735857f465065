import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createUnderstudy } from './client.ts';

let server: Server | undefined;
afterEach(() => {
  server?.close();
});

interface Seen {
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** A gateway that answers every request the same, and tells what it saw. */
async function gateway(status: number, answer: string): Promise<{ readonly url: string; readonly seen: Seen[] }> {
  const seen: Seen[] = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      seen.push({ url: request.url, headers: request.headers, body });
      response.writeHead(status, { 'content-type': 'application/json' }).end(answer);
    });
  });
  const listening = server;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const address = listening.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}/`, seen };
}

describe('predict', () => {
  it('sends features, token and subject, and returns what answered', async () => {
    const answer = {
      predictions: [7],
      outputs: {},
      model: 'digits',
      version: 'v2',
      arm: 'challenger',
      latencyMs: 0.1,
      requestId: 'r1',
    };
    const { url, seen } = await gateway(200, JSON.stringify(answer));
    const prediction = await createUnderstudy({ gatewayUrl: url, token: 'us_a_b' }).predict('digits', [[1, 2]], {
      subject: 'ana',
    });
    expect(prediction).toEqual({ predictions: [7], version: 'v2', arm: 'challenger', requestId: 'r1' });
    expect(seen[0]).toMatchObject({
      url: '/predict/digits',
      body: '{"features":[[1,2]]}',
      headers: { authorization: 'Bearer us_a_b', 'x-user-id': 'ana' },
    });
  });

  it.each([
    {
      name: 'an error of the gateway',
      status: 404,
      answer: '{"error":{"code":"model.not_found","message":"no"}}',
      code: 'model.not_found',
    },
    { name: 'an answer that is no JSON', status: 502, answer: '<html>', code: 'upstream.bad_response' },
    { name: 'JSON that is no prediction', status: 200, answer: '{"ok":true}', code: 'upstream.bad_response' },
  ])('throws for $name', async ({ status, answer, code }) => {
    const { url } = await gateway(status, answer);
    await expect(createUnderstudy({ gatewayUrl: url }).predict('digits', [[1]])).rejects.toMatchObject({ code });
  });

  it('throws when there is nobody', async () => {
    const { url } = await gateway(200, '');
    server?.close();
    server?.closeAllConnections();
    await expect(createUnderstudy({ gatewayUrl: url }).predict('digits', [[1]])).rejects.toMatchObject({
      code: 'upstream.unreachable',
    });
  });
});
