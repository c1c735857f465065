import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { openTestControl } from './test-control.ts';

async function connectTo(url: string): Promise<Socket> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1' });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

it('does not wait for connections that were opened ahead of a request, or stay open after one', async () => {
  await using control = await openTestControl();
  const url = await control.api.listen({ host: '127.0.0.1', port: 0 });
  const silent = await connectTo(url);
  const idle = await connectTo(url);
  idle.write('GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n');
  expect(String((await once(idle, 'data'))[0])).toMatch(/^HTTP\/1\.1 200/);
  const ended = [silent, idle].map((socket) => once(socket, 'close'));
  await control.api.close();
  await Promise.all(ended);
  // Well before the limit after which everything is cut anyway.
}, 5000);

it('answers a request that was on its way when the end began', async () => {
  await using control = await openTestControl();
  const url = await control.api.listen({ host: '127.0.0.1', port: 0 });
  const late = await connectTo(url);
  late.write('GET /healthz HTTP/1.1\r\nhost: a\r\n');
  // Whoever is answered afterwards was heard afterwards.
  await (await fetch(`${url}/healthz`)).text();
  const ended = control.api.close();
  await expect
    .poll(() =>
      fetch(`${url}/healthz`).then(
        () => 'answered',
        () => 'refused',
      ),
    )
    .toBe('refused');
  late.write('\r\n');
  const [answer] = await once(late, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1\.1 200/);
  await ended;
}, 5000);
