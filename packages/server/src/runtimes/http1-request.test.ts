import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { type Http1Request, requestHeadOf, startUpload, writeWhole } from './http1-request.ts';

const TARGET = { host: 'models:8000' };

function requestOf(overrides: Partial<Http1Request>): Http1Request {
  return { method: 'POST', path: '/predict', headers: [], body: Buffer.from('{}'), ...overrides };
}

describe('the head of a request', () => {
  it.each<{ name: string; request: Partial<Http1Request>; lines: readonly string[] }>([
    { name: 'has the length of a body in memory', request: {}, lines: ['content-length: 2'] },
    { name: 'counts bytes, not characters', request: { body: Buffer.from('é') }, lines: ['content-length: 2'] },
    { name: 'has the length 0', request: { body: Buffer.alloc(0) }, lines: ['content-length: 0'] },
    { name: 'takes a length that is right', request: { headers: ['Content-Length', '2'] }, lines: ['content-length: 2'] },
    {
      name: 'takes the length of a stream',
      request: { headers: ['content-length', '9'], body: Readable.from([]) },
      lines: ['content-length: 9'],
    },
    { name: 'sends other streams in chunks', request: { body: Readable.from([]) }, lines: ['transfer-encoding: chunked'] },
    {
      name: 'passes headers on as they are',
      request: { headers: ['X-A', 'b c', 'x-e', ' \xe9\t'] },
      lines: ['X-A: b c', 'x-e:  \xe9\t', 'content-length: 2'],
    },
  ])('$name', ({ request, lines }) => {
    const expected = ['POST /predict HTTP/1.1', 'host: models:8000', 'connection: keep-alive', ...lines, '', ''];
    expect(requestHeadOf(requestOf(request), TARGET)).toBe(expected.join('\r\n'));
  });

  it('says nothing of a body that a GET does not have', () => {
    const head = requestHeadOf({ method: 'GET', path: '/?a=b', headers: [], body: Buffer.alloc(0) }, TARGET);
    expect(head).toBe('GET /?a=b HTTP/1.1\r\nhost: models:8000\r\nconnection: keep-alive\r\n\r\n');
  });

  it.each<{ name: string; request: Partial<Http1Request> }>([
    { name: 'CR LF in a value', request: { headers: ['x', 'a\r\nhost: evil'] } },
    { name: 'a bare LF in a value', request: { headers: ['x', 'a\nb'] } },
    { name: 'a bare CR in a value', request: { headers: ['x', 'a\rb'] } },
    { name: 'NUL in a value', request: { headers: ['x', 'a\0b'] } },
    { name: 'a character whose lower half is LF', request: { headers: ['x', 'a\u010ab'] } },
    { name: 'a character whose lower half is CR', request: { headers: ['x', 'a\u010db'] } },
    { name: 'CR LF in a name', request: { headers: ['x\r\ny', '1'] } },
    { name: 'a colon in a name', request: { headers: ['x:y', '1'] } },
    { name: 'a blank in a name', request: { headers: ['x ', '1'] } },
    { name: 'an empty name', request: { headers: ['', '1'] } },
    { name: 'a second host', request: { headers: ['Host', 'evil'] } },
    { name: 'a transfer encoding', request: { headers: ['Transfer-Encoding', 'chunked'] } },
    { name: 'a connection header', request: { headers: ['connection', 'close'] } },
    { name: 'an upgrade', request: { headers: ['upgrade', 'h2c'] } },
    { name: 'a length that is wrong', request: { headers: ['content-length', '3'] } },
    { name: 'two lengths', request: { headers: ['content-length', '2', 'Content-Length', '2'] } },
    { name: 'a length that is no number', request: { headers: ['content-length', '2, 2'], body: Readable.from([]) } },
    { name: 'a blank in the path', request: { path: '/a HTTP/1.1\r\n' } },
    { name: 'a path that is none', request: { path: 'http://evil/' } },
  ])('refuses $name', ({ request }) => {
    expect(() => requestHeadOf(requestOf(request), TARGET)).toThrow(/not allowed|belongs to|content length/);
  });
});

describe('the body of a request', () => {
  const sockets: Socket[] = [];

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  /** Both ends of a connection. */
  async function socketPair(): Promise<readonly [client: Socket, server: Socket]> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [peer] = (await once(server, 'connection')) as [Socket];
    server.close();
    sockets.push(client, peer);
    return [client, peer];
  }

  async function sentBy(write: (client: Socket) => void): Promise<string> {
    const [client, peer] = await socketPair();
    const chunks: Buffer[] = [];
    peer.on('data', (chunk: Buffer) => chunks.push(chunk));
    write(client);
    await once(peer, 'end');
    return Buffer.concat(chunks).toString('latin1');
  }

  it.each([0, 1, 4096, 4097, 300_000])('of %i bytes in memory arrives as it is', async (length) => {
    const body = Buffer.from(Array.from({ length }, (_, index) => index % 256));
    const sent = await sentBy((client) => {
      writeWhole(client, 'HEAD', body);
      client.end();
    });
    expect(sent === `HEAD${body.toString('latin1')}`).toBe(true);
  });

  it.each<{ name: string; length: number | undefined; expected: string }>([
    { name: 'in chunks', length: undefined, expected: 'HEAD2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n' },
    { name: 'by its length', length: 5, expected: 'HEADabcde' },
  ])('goes out $name', async ({ length, expected }) => {
    const body = Readable.from([Buffer.from('ab'), Buffer.alloc(0), 'cde']);
    const sent = await sentBy((client) => {
      startUpload(client, { head: 'HEAD', body, length, onSent: () => client.end(), onError: () => client.destroy() });
    });
    expect(sent).toBe(expected);
  });

  it.each<{ name: string; length: number; body: () => Readable; message: string }>([
    { name: 'is longer than was said', length: 3, body: () => Readable.from([Buffer.from('abcd')]), message: 'longer' },
    { name: 'is shorter than was said', length: 5, body: () => Readable.from([Buffer.from('abcd')]), message: 'shorter' },
    { name: 'fails', length: 5, body: failing, message: 'disk' },
    { name: 'breaks off', length: 5, body: breakingOff, message: 'broke off' },
  ])('that $name is reported once', async ({ length, body, message }) => {
    const [client] = await socketPair();
    const told = Promise.withResolvers<Error>();
    startUpload(client, {
      head: 'HEAD',
      body: body(),
      length,
      onSent: () => told.reject(new Error('sent')),
      onError: told.resolve,
    });
    expect((await told.promise).message).toContain(message);
  });

  function failing(): Readable {
    return new Readable({
      read() {
        this.destroy(new Error('disk'));
      },
    });
  }

  function breakingOff(): Readable {
    const body = new PassThrough();
    body.write('a', () => body.destroy());
    return body;
  }

  it('waits for a server that does not read', async () => {
    const [client, peer] = await socketPair();
    peer.pause();
    let produced = 0;
    const body = new Readable({
      read() {
        produced += 65_536;
        this.push(Buffer.alloc(65_536));
      },
    });
    const isHeldBack = new Promise<void>((resolve) => {
      body.on('pause', resolve);
    });
    const stop = startUpload(client, { head: 'HEAD', body, length: undefined, onSent: () => {}, onError: () => {} });
    await isHeldBack;
    expect(client.writableNeedDrain).toBe(true);
    expect(produced).toBeLessThan(64 * 1024 * 1024);
    stop();
    const isClosed = new Promise<void>((resolve) => {
      body.on('close', resolve);
    });
    body.destroy(new Error('a failure after the end is nobody’s'));
    await isClosed;
  });
});
