import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { type Http1Pool, type Http1PoolOptions, openHttp1Pool } from './http1-pool.ts';
import type { Http1Request } from './http1-request.ts';
import type { AnswerFlow, AnswerHead } from './upstream-call.ts';

const OPTIONS: Http1PoolOptions = { connections: 4, connectTimeoutMs: 5000, idleTimeoutMs: 1000 };
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

const servers: Server[] = [];
const sockets = new Set<Socket>();
const pools: Http1Pool[] = [];

afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) server.close();
});

/** Time that the test moves, and a sweep that it calls. */
function openTestTime(): { nowMs: () => number; every: (ms: number, run: () => void) => () => void; pass: (ms: number) => void } {
  let now = 0;
  const sweeps = new Set<() => void>();
  return {
    nowMs: () => now,
    every(_ms, run) {
      sweeps.add(run);
      return () => sweeps.delete(run);
    },
    pass(ms) {
      now += ms;
      for (const sweep of sweeps) sweep();
    },
  };
}

interface Rig {
  readonly pool: Http1Pool;
  readonly pass: (ms: number) => void;
  readonly port: number;
  /** All connections the server ever had, in order. */
  readonly accepted: Socket[];
}

/** A server that is told of each request's head (bodies come with it) and writes what it likes. */
async function openRig(
  onRequest: (socket: Socket, text: string, connection: number) => void,
  options: Partial<Http1PoolOptions> = {},
): Promise<Rig> {
  const accepted: Socket[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = accepted.push(socket) - 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => onRequest(socket, chunk.toString('latin1'), connection));
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const time = openTestTime();
  const { port } = server.address() as AddressInfo;
  const url = new URL(`http://127.0.0.1:${port}`);
  const pool = openHttp1Pool(url, { ...OPTIONS, ...options }, time);
  pools.push(pool);
  return { pool, pass: time.pass, accepted, port };
}

interface Call {
  /** The body of a whole answer; rejects with the error. */
  readonly answer: Promise<string>;
  readonly started: Promise<{ readonly head: AnswerHead; readonly flow: AnswerFlow }>;
  readonly events: string[];
  /** Resolves when a piece of the body has come. */
  readonly data: () => Promise<string>;
  readonly giveUp: () => void;
}

function send(pool: Http1Pool, request: Partial<Http1Request> = {}): Call {
  const answer = Promise.withResolvers<string>();
  const started = Promise.withResolvers<{ readonly head: AnswerHead; readonly flow: AnswerFlow }>();
  answer.promise.catch(() => {});
  const events: string[] = [];
  let body = '';
  let next = Promise.withResolvers<string>();
  const giveUp = pool.send(
    { method: 'POST', path: '/', headers: [], body: Buffer.from('{}'), ...request },
    {
      onStart(head, flow) {
        events.push(`start ${head.status}`);
        started.resolve({ head, flow });
      },
      onData(chunk) {
        body += chunk.toString('latin1');
        next.resolve(chunk.toString('latin1'));
        next = Promise.withResolvers();
      },
      onEnd() {
        events.push('end');
        answer.resolve(body);
      },
      onError(error) {
        events.push('error');
        answer.reject(error);
      },
    },
  );
  return { answer: answer.promise, started: started.promise, events, data: () => next.promise, giveUp };
}

/** Waits, turn by turn of the event loop, until it holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

function closed(emitter: Socket | PassThrough | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (emitter === undefined || emitter.closed) resolve();
    else emitter.once('close', resolve);
  });
}

/** Until a connection that has just answered can be used again. */
async function rested(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** One request and its answer; afterwards the connection can be used again. */
async function exchange(pool: Http1Pool): Promise<string> {
  const answer = await send(pool).answer;
  await rested();
  return answer;
}

describe('keeping connections', () => {
  it('sends one request after the other on one connection', async () => {
    const { pool, accepted } = await openRig((socket) => socket.write(OK));
    for (let index = 0; index < 5; index++) expect(await exchange(pool)).toBe('hi');
    expect(accepted).toHaveLength(1);
    expect(pool.size()).toEqual({ connections: 1, idle: 1, waiting: 0 });
  });

  it('uses the connection first that was used last, so that the others can grow old', async () => {
    const seen: number[] = [];
    const held: Socket[] = [];
    const { pool } = await openRig((socket, _text, connection) => {
      seen.push(connection);
      if (seen.length <= 2) held.push(socket);
      else socket.write(OK);
    });
    const calls = [send(pool), send(pool)];
    await until(() => held.length === 2);
    for (const [index, socket] of held.entries()) {
      socket.write(OK);
      await until(() => pool.size().idle === index + 1);
    }
    await Promise.all(calls.map((call) => call.answer));
    await rested();
    const last = seen[1];
    await exchange(pool);
    await exchange(pool);
    expect(seen.slice(2)).toEqual([last, last]);
  });

  it.each([
    { name: 'says close', raw: 'HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 2\r\n\r\nhi' },
    { name: 'is HTTP/1.0', raw: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi' },
    { name: 'closes in a second anyway', raw: 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1, max=9\r\nContent-Length: 2\r\n\r\nhi' },
    { name: 'sends more than its answer', raw: `${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil` },
    { name: 'announces a body where none is', raw: 'HTTP/1.1 204 X\r\nContent-Length: 4\r\n\r\n' },
  ])('does not use a connection again whose server $name', async ({ raw }) => {
    const { pool, accepted } = await openRig((socket, _text, connection) => socket.write(connection === 0 ? raw : OK));
    await exchange(pool);
    expect(pool.size().connections).toBe(0);
    await closed(accepted[0]);
    expect(await send(pool).answer).toBe('hi');
    expect(accepted).toHaveLength(2);
  });

  it('never takes what was not asked for as an answer', async () => {
    const { pool, accepted } = await openRig((socket, _text, connection) =>
      socket.write(OK, () => {
        // A second answer in a packet of its own, before the next request is sent.
        if (connection === 0) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
      }),
    );
    expect(await send(pool).answer).toBe('hi');
    await closed(accepted[0]);
    expect(await send(pool).answer).toBe('hi');
  });

  it.each([
    { name: 'that has rested', wait: rested },
    { name: 'that has just answered', wait: () => Promise.resolve() },
  ])('hears what a connection $name has to say before it uses it', async ({ wait }) => {
    const { pool, accepted } = await openRig((socket, _text, connection) =>
      socket.write(connection === 0 ? OK : OK.replace('hi', 'ok')),
    );
    await send(pool).answer;
    await wait();
    const [first] = accepted;
    // Written and in our receive buffer before the request is made, though nothing has read it yet.
    await new Promise<void>((resolve) => {
      first?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil', () => resolve());
    });
    expect(await send(pool).answer).toBe('ok');
  });

  it('closes what is unused for four seconds', async () => {
    const { pool, pass, accepted } = await openRig((socket) => socket.write(OK));
    await exchange(pool);
    pass(3999);
    expect(pool.size().connections).toBe(1);
    pass(1);
    expect(pool.size().connections).toBe(0);
    await closed(accepted[0]);
  });

  it('closes a second before the server would', async () => {
    const { pool, pass } = await openRig((socket) => socket.write(OK.replace('\r\n', '\r\nKeep-Alive: timeout=10\r\n')));
    await exchange(pool);
    pass(8999);
    expect(pool.size().connections).toBe(1);
    pass(1);
    expect(pool.size().connections).toBe(0);
  });

  it('notices that the server has closed', async () => {
    const { pool, accepted } = await openRig((socket) => socket.write(OK));
    await exchange(pool);
    accepted[0]?.end();
    await until(() => pool.size().connections === 0);
    expect(await send(pool).answer).toBe('hi');
  });
});

describe('the race with a server that closes', () => {
  it.each<{ name: string; drop: (socket: Socket) => void }>([
    { name: 'closes', drop: (socket) => socket.end() },
    { name: 'resets', drop: (socket) => socket.resetAndDestroy() },
  ])('sends a request again when the server $name instead of answering', async ({ drop }) => {
    let requests = 0;
    const { pool, accepted } = await openRig((socket) => {
      requests++;
      if (requests === 2) drop(socket);
      else socket.write(OK);
    });
    await exchange(pool);
    expect(await send(pool).answer).toBe('hi');
    expect(requests).toBe(3);
    expect(accepted).toHaveLength(2);
  });

  it('does so once, and never on a connection that was not used before', async () => {
    let requests = 0;
    const { pool } = await openRig((socket) => {
      if (requests++ === 0) socket.write(OK);
      else socket.destroy();
    });
    await exchange(pool);
    await expect(send(pool).answer).rejects.toThrow();
    expect(requests).toBe(3);
    await expect(send(pool).answer).rejects.toThrow('without an answer');
    expect(requests).toBe(4);
  });

  it('does not when a byte of the answer has come', async () => {
    let requests = 0;
    const { pool } = await openRig((socket) => {
      if (requests++ === 0) socket.write(OK);
      else socket.end('H');
    });
    await exchange(pool);
    await expect(send(pool).answer).rejects.toThrow('before the answer was whole');
    expect(requests).toBe(2);
  });

  it('does not with a stream, which is gone', async () => {
    let requests = 0;
    const { pool } = await openRig((socket) => {
      if (requests++ === 0) socket.write(OK);
      else socket.destroy();
    });
    await exchange(pool);
    const body = new PassThrough();
    const call = send(pool, { body });
    body.write('a');
    await expect(call.answer).rejects.toThrow();
    expect(requests).toBe(2);
  });
});

describe('giving up', () => {
  it('before anything was done costs nothing', async () => {
    const { pool, accepted } = await openRig((socket) => socket.write(OK));
    const call = send(pool);
    call.giveUp();
    expect(await send(pool).answer).toBe('hi');
    expect(accepted).toHaveLength(1);
    expect(call.events).toEqual([]);
  });

  it('while connecting frees the place', async () => {
    const { pool } = await openRig((socket) => socket.write(OK), { connections: 1 });
    const call = send(pool);
    await until(() => pool.size().connections === 1);
    call.giveUp();
    expect(pool.size().connections).toBe(0);
    expect(await send(pool).answer).toBe('hi');
    expect(call.events).toEqual([]);
  });

  it.each<{ name: string; sent: string; events: readonly string[] }>([
    { name: 'while waiting for the answer', sent: '', events: [] },
    { name: 'in the head', sent: 'HTTP/1.1 200 OK\r\nContent-', events: [] },
    { name: 'in the body', sent: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi', events: ['start 200'] },
    { name: 'in a chunk', sent: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi', events: ['start 200'] },
  ])('$name closes the connection', async ({ sent, events }) => {
    const reached = Promise.withResolvers<Socket>();
    const { pool } = await openRig((socket) => {
      socket.write(sent);
      reached.resolve(socket);
    });
    const call = send(pool);
    const socket = await reached.promise;
    if (events.length > 0) await call.data();
    call.giveUp();
    await closed(socket);
    expect(pool.size()).toEqual({ connections: 0, idle: 0, waiting: 0 });
    expect(call.events).toEqual(events);
  });

  it('while a body is still being sent closes the connection and lets the stream be', async () => {
    const reached = Promise.withResolvers<Socket>();
    const { pool } = await openRig((socket) => reached.resolve(socket));
    const body = new PassThrough();
    const call = send(pool, { body });
    body.write('a');
    const socket = await reached.promise;
    call.giveUp();
    await closed(socket);
    expect(body.destroyed).toBe(false);
    expect(body.isPaused()).toBe(true);
  });

  it('after the end does not touch the connection, which is somebody else’s by then', async () => {
    const requests: Socket[] = [];
    const { pool } = await openRig((socket) => {
      requests.push(socket);
      if (requests.length === 1) socket.write(OK);
    });
    const first = send(pool);
    await first.answer;
    await rested();
    const second = send(pool);
    await until(() => requests.length === 2);
    first.giveUp();
    requests[1]?.write(OK);
    expect(await second.answer).toBe('hi');
  });
});

describe('bounds', () => {
  it('opens no more connections than it may; others wait in order, and too many are refused at once', async () => {
    const asked: string[] = [];
    const held: Socket[] = [];
    const { pool, accepted } = await openRig(
      (socket, text) => {
        asked.push(/POST (\S+)/.exec(text)?.[1] ?? '');
        held.push(socket);
      },
      { connections: 2 },
    );
    const calls = ['/0', '/1', '/2', '/3', '/4'].map((path) => send(pool, { path }));
    await expect(calls[4]?.answer).rejects.toMatchObject({ code: 'request.overloaded' });
    expect(pool.size().waiting).toBe(2);
    await until(() => held.length === 2);
    for (let index = 0; index < 4; index++) {
      await until(() => held.length > index);
      held[index]?.write(OK);
    }
    await Promise.all(calls.slice(0, 4).map((call) => call.answer));
    expect(asked.slice(2)).toEqual(['/2', '/3']);
    expect(accepted).toHaveLength(2);
  });

  it('gives the place of a connection that broke to who waits', async () => {
    const held: Socket[] = [];
    const { pool } = await openRig((socket) => held.push(socket), { connections: 1 });
    const [first, second] = [send(pool), send(pool)];
    await until(() => held.length === 1);
    held[0]?.destroy();
    await expect(first.answer).rejects.toThrow();
    await until(() => held.length === 2);
    held[1]?.write(OK);
    expect(await second.answer).toBe('hi');
  });

  it('forgets who waits and gives up', async () => {
    const held: Socket[] = [];
    const { pool } = await openRig((socket) => held.push(socket), { connections: 1 });
    const first = send(pool);
    const second = send(pool);
    await until(() => held.length === 1);
    second.giveUp();
    expect(pool.size().waiting).toBe(0);
    held[0]?.write(OK);
    expect(await first.answer).toBe('hi');
    expect(second.events).toEqual([]);
  });

  it('breaks off an endless head', async () => {
    const { pool } = await openRig((socket) => {
      const push = (): void => {
        if (!socket.destroyed) socket.write('x: '.padEnd(4096, 'a').concat('\r\n'), push);
      };
      socket.write('HTTP/1.1 200 OK\r\n', push);
    });
    await expect(send(pool).answer).rejects.toMatchObject({ code: 'upstream.bad_response' });
    expect(pool.size().connections).toBe(0);
  });

  it('breaks off an answer that pauses for too long, though not one that has not begun', async () => {
    const { pool, pass } = await openRig((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi'));
    const call = send(pool);
    await until(() => pool.size().connections === 1);
    pass(5000);
    await call.data();
    pass(999);
    expect(call.events).toEqual(['start 200']);
    pass(1);
    await expect(call.answer).rejects.toThrow('paused for 1000 ms');
  });

  it('lets who is held back take its time', async () => {
    const { pool, pass, accepted } = await openRig((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi'));
    const call = send(pool);
    const { flow } = await call.started;
    await until(() => accepted.length === 1);
    flow.pause();
    pass(60_000);
    flow.resume();
    pass(999);
    accepted[0]?.write('ho');
    expect(await call.answer).toBe('hiho');
  });

  it('does not connect for longer than it may, the TLS handshake included', async () => {
    const { accepted, port } = await openRig(() => {});
    const pool = openHttp1Pool(new URL(`https://127.0.0.1:${port}`), { ...OPTIONS, connectTimeoutMs: 50 }, openTestTime());
    pools.push(pool);
    await expect(send(pool).answer).rejects.toThrow('within 50 ms');
    expect(pool.size().connections).toBe(0);
    await closed(accepted[0]);
  });
});

describe('an answer', () => {
  it('comes piece by piece, as it is made', async () => {
    const reached = Promise.withResolvers<Socket>();
    const { pool } = await openRig((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      reached.resolve(socket);
    });
    const call = send(pool);
    await call.started;
    const socket = await reached.promise;
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      const piece = call.data();
      socket.write(`${event.length.toString(16)}\r\n${event}\r\n`);
      expect(await piece).toBe(event);
    }
    socket.write('0\r\n\r\n');
    expect(await call.answer).toBe('data: 1\n\ndata: 2\n\n');
    expect(pool.size().idle).toBe(1);
  });

  it('is not read faster than its receiver wants', async () => {
    let written = 0;
    const { pool, accepted } = await openRig((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const push = (): void => {
        while (!socket.destroyed && written < 256 * 1024 * 1024) {
          written += 65_536;
          if (!socket.write(Buffer.alloc(65_536))) return;
        }
      };
      socket.on('drain', push);
      push();
    });
    let received = 0;
    let isPaused = false;
    const giveUp = pool.send(
      { method: 'POST', path: '/', headers: [], body: Buffer.from('{}') },
      {
        onStart: (_head, flow) => {
          flow.pause();
          isPaused = true;
        },
        onData: (chunk) => {
          received += chunk.length;
        },
        onEnd: () => {},
        onError: () => {},
      },
    );
    await until(() => isPaused);
    let before = -1;
    let quietTurns = 0;
    await until(() => {
      quietTurns = written === before ? quietTurns + 1 : 0;
      before = written;
      return quietTurns > 500;
    });
    expect(received).toBeLessThanOrEqual(65_536);
    expect(written).toBeLessThan(64 * 1024 * 1024);
    giveUp();
    await closed(accepted[0]);
  });

  it('that was held back does not hold the next one back', async () => {
    const { pool, accepted } = await openRig((socket) => socket.write(OK));
    const giveUps: AnswerFlow[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    pool.send(
      { method: 'POST', path: '/', headers: [], body: Buffer.from('{}') },
      {
        onStart: (_head, flow) => {
          flow.pause();
          giveUps.push(flow);
        },
        onData: () => {},
        onEnd: resolve,
        onError: () => {},
      },
    );
    await promise;
    await rested();
    const next = send(pool);
    // Of an answer that is over, this means nothing.
    giveUps[0]?.pause();
    expect(await next.answer).toBe('hi');
    expect(accepted).toHaveLength(1);
  });

  it('to half a request closes the connection', async () => {
    const { pool, accepted } = await openRig((socket) => socket.write('HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nhi'));
    const body = new PassThrough();
    const call = send(pool, { body });
    body.write('a');
    expect(await call.answer).toBe('hi');
    expect(call.events).toEqual(['start 413', 'end']);
    await closed(accepted[0]);
    expect(pool.size().connections).toBe(0);
    // What becomes of the stream is nobody's business here, and must not end the process.
    body.destroy(new Error('gone'));
    await closed(body);
  });

  it('is an error to its receiver when the receiver throws', async () => {
    const { pool } = await openRig((socket) => socket.write(OK));
    const { promise, resolve } = Promise.withResolvers<Error>();
    pool.send(
      { method: 'POST', path: '/', headers: [], body: Buffer.from('{}') },
      {
        onStart() {
          throw new Error('a bug');
        },
        onData: () => {},
        onEnd: () => {},
        onError: resolve,
      },
    );
    expect((await promise).message).toBe('a bug');
    expect(pool.size().connections).toBe(0);
  });

  it('of bytes above 127 arrives as it was, and so does the request', async () => {
    const seen: string[] = [];
    const { pool } = await openRig((socket, text) => {
      seen.push(text);
      socket.write(Buffer.from('HTTP/1.1 200 OK\r\nx-e: \xe9\r\nContent-Length: 2\r\n\r\n\xc3\xa9', 'latin1'));
    });
    const call = send(pool, { headers: ['x-e', '\xe9'], body: Buffer.from('é') });
    expect((await call.started).head.headers['x-e']).toBe('\xe9');
    expect(await call.answer).toBe('\xc3\xa9');
    expect(seen[0]).toContain('x-e: \xe9\r\ncontent-length: 2\r\n\r\n\xc3\xa9');
  });
});

describe('closing', () => {
  it('tells everybody, and closes everything', async () => {
    const { pool, accepted } = await openRig(() => {}, { connections: 1 });
    const calls = [send(pool), send(pool)];
    await until(() => accepted.length === 1);
    const late = send(pool);
    pool.close();
    for (const call of [...calls, late]) await expect(call.answer).rejects.toThrow('being closed');
    await closed(accepted[0]);
    await expect(send(pool).answer).rejects.toThrow('being closed');
    expect(pool.size()).toEqual({ connections: 0, idle: 0, waiting: 0 });
  });
});
