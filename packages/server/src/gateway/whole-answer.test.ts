import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelOf, openRig, type Rig, snapshotOf, sumOf, sumRuntime, until } from './gateway-rig.contract.ts';

const BODY = '{"features":[1,2,3]}';
/** Its first feature says for how many milliseconds the model is busy. */
const bodyFor = (ms: number): string => `{"features":[${ms},0,0]}`;

let rig: Rig;

beforeAll(async () => {
  const runtime = sumRuntime(0, async (inputs) => {
    const ms = Number(inputs[0]?.data[0]);
    if (ms > 10) await sleep(ms);
    return [sumOf(inputs, 0)];
  });
  rig = await openRig({ snapshot: snapshotOf(1, [modelOf()]), openRuntime: () => Promise.resolve(runtime) });
});

afterAll(() => rig[Symbol.asyncDispose]());

function requestText(id: string, { body = BODY, version = '1.1', headers = [] as readonly string[] } = {}): string {
  const length = `Content-Length: ${body.length}`;
  const head = [`POST /predict/sum HTTP/${version}`, 'Host: a', 'Content-Type: application/json', length, `X-Request-Id: ${id}`];
  return [...head, ...headers, '', body].join('\r\n');
}

interface Line {
  readonly socket: Socket;
  /** Everything that came back so far. */
  readonly received: () => string;
  readonly ids: () => string[];
}

async function openLine(): Promise<Line> {
  const socket = connect(rig.gateway.address.port, '127.0.0.1');
  let text = '';
  socket.on('error', () => {}).on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await until(() => !socket.connecting, 'a connection');
  const ids = (): string[] => [...text.matchAll(/x-request-id: (\S+)/g)].map(([, id]) => id ?? '');
  return { socket, received: () => text, ids };
}

/** Status line and headers, without what differs from one answer to the next. */
function headOf(answer: string): string[] {
  const [head = ''] = answer.split('\r\n\r\n');
  const varying = /^(?:date|x-understudy-request-id|server-timing|content-length|connection|keep-alive):/i;
  return head.split('\r\n').filter((line) => !varying.test(line));
}

describe('a connection that stays open', () => {
  it('carries one request after the other, and says for how long it stays', async () => {
    const { socket, received, ids } = await openLine();
    for (let index = 0; index < 50; index++) {
      socket.write(requestText(`r${index}`));
      await until(() => ids().length === index + 1 && received().endsWith('}'), 'an answer');
    }
    expect(ids()).toEqual(Array.from({ length: 50 }, (_, index) => `r${index}`));
    expect(received().match(/\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\n\{/g)).toHaveLength(50);
    socket.destroy();
  });

  it('gets its answers in the order of its requests, however long each takes', async () => {
    const { socket, received, ids } = await openLine();
    const waits = [60, 0, 30, 0, 0, 45];
    socket.write(waits.map((ms, index) => requestText(`r${index}`, { body: bodyFor(ms) })).join(''));
    await until(() => ids().length === waits.length && received().endsWith('}'), 'all answers');
    expect(ids()).toEqual(waits.map((_, index) => `r${index}`));
    expect([...received().matchAll(/"prediction":(\d+)/g)].map(([, value]) => Number(value))).toEqual(waits);
    socket.write(requestText('after'));
    await until(() => ids().at(-1) === 'after', 'another answer');
    socket.destroy();
  });

  it('gets every answer when it sends a thousand requests before it reads', async () => {
    const { socket, received, ids } = await openLine();
    socket.pause();
    const count = 1000;
    socket.write(Array.from({ length: count }, (_, index) => requestText(`r${index}`)).join(''));
    await sleep(50);
    socket.resume();
    await until(() => ids().length === count && received().endsWith('}'), 'all answers');
    expect(ids()).toEqual(Array.from({ length: count }, (_, index) => `r${index}`));
    socket.destroy();
  });

  it('takes a request in pieces of any size', async () => {
    const { socket, ids } = await openLine();
    socket.setNoDelay();
    for (const char of requestText('slow')) {
      socket.write(char);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    await until(() => ids().length === 1, 'an answer');
    socket.destroy();
  });

  it('stays open after a refusal that left nothing unread', async () => {
    const { socket, received, ids } = await openLine();
    socket.write(requestText('bad', { body: '[' }));
    await until(() => received().endsWith('}'), 'a refusal');
    expect(received()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n[^]*x-understudy-error: request\.invalid\r\n/);
    socket.write(requestText('good'));
    await until(() => ids().at(-1) === 'good', 'an answer');
    socket.destroy();
  });
});

describe('the same answer, whatever becomes of the connection', () => {
  it.each([
    { name: 'it is to be closed', version: '1.1', headers: ['Connection: close'], kept: false },
    { name: 'the client speaks HTTP/1.0', version: '1.0', headers: [], kept: false },
    { name: 'the client speaks HTTP/1.0 and wants to keep it', version: '1.0', headers: ['Connection: keep-alive'], kept: true },
  ])('when $name', async ({ version, headers, kept }) => {
    const [plain, other] = [await openLine(), await openLine()];
    plain.socket.write(requestText('r'));
    other.socket.write(requestText('r', { version, headers }));
    await until(() => plain.received().endsWith('}') && other.received().endsWith('}'), 'two answers');
    expect(headOf(other.received())).toEqual(headOf(plain.received()));
    expect(other.received()).toMatch(kept ? /\r\nConnection: keep-alive\r\n/ : /\r\nConnection: close\r\n/);
    if (!kept) await until(() => other.socket.destroyed || other.socket.readableEnded, 'its end');
    for (const { socket } of [plain, other]) socket.destroy();
  });

  it('has a date of now, once', async () => {
    const answer = await rig.post('/predict/sum', BODY);
    const date = Date.parse(answer.headers['date'] ?? '');
    expect(Math.abs(Date.now() - date)).toBeLessThan(5000);
    expect((await rig.raw(requestText('r', { headers: ['Connection: close'] }))).match(/\r\ndate: /gi)).toHaveLength(1);
  });
});

it('answers HEAD without a body, so that the next answer is where it belongs', async () => {
  const { socket, received, ids } = await openLine();
  socket.write('HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => received().endsWith('\r\n\r\n'), 'a head');
  socket.write('HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => received().includes('404') && received().endsWith('\r\n\r\n'), 'another head');
  socket.write(requestText('after'));
  await until(() => ids().at(-1) === 'after' && received().endsWith('}'), 'an answer');
  expect(received().match(/HTTP\/1\.1 (?:200|404)/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200']);
  socket.destroy();
});

it('counts a client that leaves in mid-answer once, and serves the others', async () => {
  for (let index = 0; index < 20; index++) {
    const { socket } = await openLine();
    socket.write(requestText('r', { body: bodyFor(index % 2 === 0 ? 0 : 12) }) + requestText('s'));
    if (index % 3 !== 0) await sleep(1);
    if (index % 4 === 1) socket.end();
    else socket.resetAndDestroy();
  }
  await until(() => rig.gateway.stats().inFlight === 0, 'all places free');
  expect((await rig.post('/predict/sum', BODY)).status).toBe(200);
  expect(rig.gateway.stats().bugs).toBe(0);
});
