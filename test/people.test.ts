// Webhooks as a whole process sends them: real server, real receiver, from a person's command to the message.
import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import { startForTest } from './running-understudy.ts';

it('tells a webhook that the line was stopped, and why', async () => {
  const told = Promise.withResolvers<string>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(204).end();
      told.resolve(Buffer.concat(chunks).toString());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const running = await startForTest();
  try {
    const url = `http://localhost:${address.port}/`;
    const { secret } = await running.admin('createHook', { body: { name: 'ops', url } });
    expect(secret).toMatch(/^whsec_/);
    await running.admin('stopTheLine', { body: { reason: 'incident 4711' } });
    expect(JSON.parse(await told.promise)).toMatchObject({
      type: 'understudy.line.stopped',
      data: { why: 'production line stopped: incident 4711', by: 'token:admin' },
    });
  } finally {
    await running.close();
    server.closeAllConnections();
    server.close();
  }
});
