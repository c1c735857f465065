import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { fastify } from 'fastify';
import { afterEach, expect, it, vi } from 'vitest';
import { openEventStreams } from './event-streams.ts';
import { eventually } from './protocol-rig.contract.ts';

afterEach(() => void vi.useRealTimers());

it('sends a comment every 15 s, so that nothing on the way takes the stream for dead', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const streams = openEventStreams({ maxStreams: 1 });
  const app = fastify({ forceCloseConnections: true });
  app.get('/', async (_request, reply) => streams.open(reply, 'data: first\n\n'));
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  try {
    const [response] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage];
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    vi.advanceTimersByTime(30_000);
    vi.useRealTimers();
    await eventually(() => text.endsWith('\n\n:\n\n:\n\n'));
    expect(text).toMatch(/^retry: \d+\n\ndata: first\n\n:\n\n:\n\n$/);
  } finally {
    streams.close();
    await app.close();
  }
});

it('cuts a stream that does not read, and no other', async () => {
  const streams = openEventStreams({ maxStreams: 10, maxPendingBytes: 1024 });
  const app = fastify({ forceCloseConnections: true });
  app.get('/', async (_request, reply) => streams.open(reply, 'data: first\n\n'));
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const open = async (): Promise<IncomingMessage> => {
    const [response] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage];
    return response;
  };
  try {
    const [reader, sleeper] = [await open(), await open()];
    let received = 0;
    reader.on('data', (chunk: Buffer) => (received += chunk.length));
    sleeper.pause();
    sleeper.on('error', () => undefined);
    await eventually(() => received > 0 && streams.count === 2);
    const event = Buffer.alloc(1024 * 1024, ':');
    // What the operating system holds for a sleeper is a few of these.
    for (let sent = 1; sent <= 64 && streams.count === 2; sent += 1) {
      const before = received;
      streams.send(event);
      await eventually(() => received >= before + event.length);
    }
    await eventually(() => streams.count === 1);
    streams.close();
    await once(reader, 'end');
    expect(streams.count).toBe(0);
  } finally {
    await app.close();
  }
});

it('waits for a stream that takes its time over one large document', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const streams = openEventStreams({ maxStreams: 1, maxPendingBytes: 1024 });
  const document = Buffer.alloc(32 * 1024 * 1024, ':');
  const app = fastify({ forceCloseConnections: true });
  app.get('/', async (_request, reply) => streams.open(reply, document));
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  try {
    const [response] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage];
    response.pause();
    vi.advanceTimersByTime(60_000);
    vi.useRealTimers();
    expect(streams.count).toBe(1);
    let received = 0;
    response.on('data', (chunk: Buffer) => (received += chunk.length)).resume();
    await eventually(() => received > document.length);
  } finally {
    streams.close();
    await app.close();
  }
});
