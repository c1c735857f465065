// Faults of a challenger over real sockets, byte by byte: what the user gets, what is charged to whom, and what cannot be rescued.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { SnapshotVersion } from '@understudy/core/snapshot';
import { afterEach, expect, it } from 'vitest';
import { openUpstream } from '../runtimes/upstream-runtime.ts';
import type { OpenRuntime } from './ports.ts';
import { onnxVersion, openRig, type Rig, rolloutOf, snapshotOf, sumRuntime } from './gateway-rig.contract.ts';

const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** What a challenger does on its socket once it has been asked to predict; `reached` is told by the server. */
type Fault = (socket: Socket) => void;

const JSON_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
const CHUNKED = 'transfer-encoding: chunked\r\n\r\n';
const BODY = { features: [1, 2, 3] };

/** A server that answers probes and then does what it is told. */
async function serve(
  fault: Fault,
): Promise<{ readonly url: string; readonly reached: Promise<void>; readonly close: () => Promise<void> }> {
  const reached = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.startsWith('GET')) {
        if (text.includes('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}');
        text = '';
      } else if (text.endsWith('}')) {
        text = '';
        fault(socket);
        reached.resolve();
      }
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${port}`, reached: reached.promise, close };
}

const openRuntime: OpenRuntime = (_model, { source }) =>
  source.kind === 'upstream' ? openUpstream(source) : Promise.resolve(sumRuntime());

/** Everybody is the challenger's, the champion adds. */
function openWith(url: string): Promise<Rig> {
  const challenger: SnapshotVersion = {
    version: 'v2',
    source: { kind: 'upstream', url, protocol: 'predict', remoteModel: 'remote' },
  };
  return openRig({ openRuntime, snapshot: snapshotOf(1, [rolloutOf(100_000, { versions: [onnxVersion('v1'), challenger] })]) });
}

async function expectRescue(rig: Rig, answer: Awaited<ReturnType<Rig['post']>>, charged: object): Promise<void> {
  expect(answer).toMatchObject({ status: 200, json: { prediction: 6, version: 'v1' } });
  expect(answer.headers['x-understudy-reason']).toBe('rescued');
  expect(await rig.tally('v2', 'challenger')).toMatchObject({ requests: 1, errors: 1, rescued: 1, ...charged });
}

it.each<{ name: string; fault: Fault; charged?: object }>([
  { name: 'resets before the head', fault: (socket) => socket.resetAndDestroy() },
  { name: 'closes without an answer', fault: (socket) => socket.end() },
  { name: 'breaks off in its head', fault: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-ty') },
  { name: 'sends what is no HTTP', fault: (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n\r\n') },
  { name: 'breaks off after its head', fault: (socket) => socket.end(`${JSON_HEAD}content-length: 20\r\n\r\n`) },
  { name: 'breaks off in its body', fault: (socket) => socket.end(`${JSON_HEAD}content-length: 20\r\n\r\n{"pred`) },
  { name: 'breaks off after the head of a body without a length', fault: (socket) => socket.end(JSON_HEAD + CHUNKED) },
  { name: 'breaks off in a body without a length', fault: (socket) => socket.end(`${JSON_HEAD}${CHUNKED}5\r\n{"pre\r\n`) },
  {
    name: 'breaks off before the first byte of a stream',
    fault: (socket) => socket.end(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n${CHUNKED}`),
  },
  {
    name: 'sends a body without a length that is no prediction',
    fault: (socket) => socket.write(`${JSON_HEAD}${CHUNKED}4\r\n{"a"\r\n0\r\n\r\n`),
    charged: { invalid: 1 },
  },
  { name: 'answers 503', fault: (socket) => socket.write('HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n') },
  { name: 'answers 429', fault: (socket) => socket.write('HTTP/1.1 429 No\r\ncontent-length: 0\r\n\r\n') },
])('the champion answers when the challenger $name', async ({ fault, charged = {} }) => {
  const { url } = await serve(fault);
  await using rig = await openWith(url);
  await expectRescue(rig, await rig.post('/predict/sum', BODY), { timeouts: 0, ...charged });
});

it('the champion answers when nobody listens any more', async () => {
  const { url, close } = await serve(() => {});
  await using rig = await openWith(url);
  await close();
  await expectRescue(rig, await rig.post('/predict/sum', BODY), { timeouts: 0 });
});

it.each<{ name: string; fault: Fault }>([
  { name: 'hangs', fault: () => {} },
  { name: 'hangs in its head', fault: (socket) => socket.write('HTTP/1.1 200 OK\r\nx-a: ') },
  { name: 'hangs after its head', fault: (socket) => socket.write(JSON_HEAD + CHUNKED) },
  { name: 'hangs before the end of its body', fault: (socket) => socket.write(`${JSON_HEAD}content-length: 20\r\n\r\n{"p`) },
  { name: 'hangs before the first byte of a stream', fault: (socket) => socket.write(`HTTP/1.1 200 OK\r\n${CHUNKED}`) },
])('the champion answers after half of the deadline when the challenger $name', async ({ fault }) => {
  const { url, reached } = await serve(fault);
  await using rig = await openWith(url);
  const answer = rig.post('/predict/sum', BODY);
  await reached;
  // The bytes that were sent are on their way: they may come before or after, and nothing may differ.
  rig.time.advance(2499);
  expect(rig.gateway.stats().inFlight).toBe(1);
  rig.time.advance(1);
  await expectRescue(rig, await answer, { timeouts: 1 });
});

it.each<{ name: string; body: string; json: unknown }>([
  { name: 'in one piece', body: '11\r\n{"prediction": 7}\r\n0\r\n\r\n', json: { prediction: 7 } },
  { name: 'in pieces', body: '8\r\n{"predic\r\n9\r\ntion": 8}\r\n0\r\n\r\n', json: { prediction: 8 } },
])('a prediction without a length comes $name, with its length', async ({ body, json }) => {
  const { url } = await serve((socket) => socket.write(JSON_HEAD + CHUNKED + body));
  await using rig = await openWith(url);
  const answer = await rig.post('/predict/sum', BODY);
  expect(answer).toMatchObject({ status: 200, json });
  expect(answer.headers).toMatchObject({ 'content-length': String(answer.text.length), 'x-understudy-arm': 'challenger' });
  expect(await rig.tally('v2', 'challenger')).toMatchObject({ requests: 1, errors: 0, predictions: { count: 1 } });
});

it('an answer that is too large to be read is passed on whole', async () => {
  const text = `{"prediction": 1, "pad": "${'x'.repeat(200_000)}"}`;
  const { url } = await serve((socket) =>
    socket.write(`${JSON_HEAD}${CHUNKED}${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`),
  );
  await using rig = await openWith(url);
  const answer = await rig.post('/predict/sum', BODY);
  expect(answer.text).toBe(text);
  expect(answer.headers['x-understudy-arm']).toBe('challenger');
});

it('cannot rescue an answer of which a byte was sent: the connection breaks off, and the challenger is charged', async () => {
  const { url } = await serve((socket) =>
    socket.write(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n${CHUNKED}5\r\ndata:\r\n`, () => socket.destroy()),
  );
  await using rig = await openWith(url);
  await expect(rig.post('/predict/sum', BODY)).rejects.toThrow();
  expect(await rig.tally('v2', 'challenger')).toMatchObject({ requests: 1, errors: 1, rescued: 0 });
});
