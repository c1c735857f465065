// Something on the way cuts every stream (F25): a kill switch reaches the gateway by poll.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { rowsOf, send, until } from '../running-understudy.ts';
import { openSplitGateway, openSplitWorld, type SplitGateway, type SplitWorld } from './split-world.ts';

let world: SplitWorld;
let proxy: Server;
let gateway: SplitGateway;
beforeAll(async () => {
  world = await openSplitWorld();
  proxy = createServer((req, res) => {
    if (req.url?.endsWith('/stream') === true) {
      res.writeHead(502).end();
      return;
    }
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const { authorization = '', 'if-none-match': tag = '' } = req.headers;
      const headers = { authorization, 'if-none-match': tag, 'content-type': 'application/json' };
      const body = chunks.length === 0 ? {} : { body: Buffer.concat(chunks) };
      void fetch(`${world.controlUrl}${req.url}`, { method: req.method ?? 'GET', headers, ...body }).then(async (answer) => {
        res.writeHead(answer.status, { etag: answer.headers.get('etag') ?? '' }).end(Buffer.from(await answer.arrayBuffer()));
      });
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  gateway = await openSplitGateway(world, 'eu-1', { controlUrl: `http://127.0.0.1:${port}` });
}, 60_000);
afterAll(async () => {
  await gateway.stop();
  proxy.closeAllConnections();
  proxy.close();
  await world[Symbol.asyncDispose]();
});

it('takes a change in within ten seconds, by asking', async () => {
  const row = (await rowsOf('digits'))[0] ?? [];
  const predict = (): ReturnType<typeof send> =>
    send({ gatewayUrl: gateway.url, token: world.token }, '/predict/digits', { body: { features: row } });
  await until(predict, ({ status }) => status === 200, 'the first snapshot');
  const began = performance.now();
  await world.admin('promoteVersion', { params: { model: 'digits', version: 'v2' }, body: { reason: 'better' } });
  await until(predict, ({ version }) => version === 'v2', 'the promotion');
  expect(performance.now() - began).toBeLessThan(10_000);
}, 40_000);
