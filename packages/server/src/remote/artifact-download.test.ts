import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, it } from 'vitest';
import { fetchArtifact } from './artifact-download.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.closeAllConnections();
});

async function controlPlane(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const has: RequestListener = (_request, response) => response.end('model');
const lacks: RequestListener = (_request, response) => response.writeHead(404).end();
const hangs: RequestListener = () => {};
const stalls: RequestListener = (_request, response) => response.writeHead(200).write('mod');

/** Time passes a hundred times as fast. */
const after = (ms: number, run: () => void): (() => void) => {
  const timer = setTimeout(run, ms / 100);
  return () => clearTimeout(timer);
};

async function download(urls: readonly string[], closing = new AbortController().signal): Promise<string> {
  const bytes = await fetchArtifact({ urls, token: 't', closing, ports: { fetch, after } }, 'a'.repeat(64));
  return text(bytes);
}

it.each([
  { name: 'does not have it', first: lacks },
  { name: 'takes the question and never answers', first: hangs },
])('gets a file from the second control plane when the first one $name', async ({ first }) => {
  expect(await download([await controlPlane(first), await controlPlane(has)])).toBe('model');
});

it('says what each of them said when none gives the file', async () => {
  const urls = [await controlPlane(lacks), await controlPlane(hangs)];
  await expect(download(urls)).rejects.toMatchObject({
    code: 'artifact.not_found',
    message: expect.stringMatching(/answers 404; .*nothing came for 10000 ms/),
  });
});

it('gives a file up in the midst of which nothing more comes', async () => {
  await expect(download([await controlPlane(stalls)])).rejects.toThrow('nothing came for 10000 ms');
});

it('ends with the connection', async () => {
  const closing = new AbortController();
  const ended = expect(download([await controlPlane(hangs)], closing.signal)).rejects.toThrow('closed');
  closing.abort(new Error('closed'));
  await ended;
});
