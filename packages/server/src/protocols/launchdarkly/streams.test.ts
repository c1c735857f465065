import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { splitFlag } from '../test-world.ts';
import { openSdkRig, ready, SERVER_KEY, type SdkRig, until } from './sdk-rig.contract.ts';

const FLAG = splitFlag('f', 0);

/** A stream as bytes. */
async function listen(rig: SdkRig): Promise<{ readonly socket: Socket; readonly text: () => string }> {
  const { hostname, port } = new URL(rig.url);
  const socket = connect(Number(port), hostname);
  const chunks: string[] = [];
  socket.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
  await once(socket, 'connect');
  socket.write(`GET /launchdarkly/all HTTP/1.1\r\nhost: x\r\nauthorization: ${SERVER_KEY}\r\n\r\n`);
  return { socket, text: () => chunks.join('') };
}

describe('GET /all', () => {
  it('begins with everything, then tells of changes, and has a pulse', async () => {
    await using rig = await openSdkRig({ heartbeatMs: 20, retryMs: [1000, 4000] });
    rig.world.set({ flags: [FLAG, splitFlag('g', 0)] });
    const { socket, text } = await listen(rig);
    await until(() => text().includes('event: put'));
    expect(text()).toMatch(/^HTTP\/1.1 200 OK\r\ncontent-type: text\/event-stream/);
    const [, retry = ''] = /retry: (\d+)\n\n/.exec(text()) ?? [];
    expect(Number(retry)).toBeGreaterThanOrEqual(1000);
    expect(Number(retry)).toBeLessThanOrEqual(4000);
    await until(() => text().includes('\n:\n\n'));
    rig.world.set({ flags: [splitFlag('f', 1), splitFlag('g', 0)] });
    await until(() => text().includes('event: patch\ndata: {"path":"/flags/f"'));
    expect(text()).not.toContain('{"path":"/flags/g"');
    socket.destroy();
  });

  it('is refused beyond the limit, with the time to wait', async () => {
    await using rig = await openSdkRig({ maxStreams: 1 });
    rig.world.set({ flags: [FLAG] });
    const client = await ready(rig.sdk({ sendEvents: false }));
    const answer = await rig.ask('/all');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('10');
    expect(await answer.json()).toMatchObject({ message: expect.stringContaining('1 streams are open') });
    client.close();
    const next = await listen(rig);
    await until(() => next.text() !== '');
    expect(next.text()).toContain(' 200 ');
    next.socket.destroy();
  });

  it('cuts who does not read, and nobody else', async () => {
    await using rig = await openSdkRig({ maxBacklogBytes: 100_000 });
    const values = (length: number) => [{ ...FLAG, variants: [{ name: 'v1', value: 'x'.repeat(length) }] }];
    rig.world.set({ flags: values(1) });
    const [reader, idler] = [await listen(rig), await listen(rig)];
    await until(() => reader.text().includes('event: put') && idler.text().includes('event: put'));
    idler.socket.pause();
    const closed = once(idler.socket, 'close');
    idler.socket.on('error', () => undefined);
    for (let length = 500_000; length < 500_060; length += 1) {
      const { bytesRead } = reader.socket;
      rig.world.set({ flags: values(length) });
      await until(() => reader.socket.bytesRead >= bytesRead + length);
    }
    idler.socket.resume();
    await closed;
    expect(reader.socket.destroyed).toBe(false);
    reader.socket.destroy();
  });

  it('ends when the key is deleted, not when it cannot be looked up', async () => {
    await using rig = await openSdkRig({ heartbeatMs: 10 });
    rig.world.set({ flags: [FLAG] });
    const { socket, text } = await listen(rig);
    const beats = () => text().split('\n:\n\n').length;
    await until(() => text().includes('event: put'));
    rig.world.keys.set(SERVER_KEY, { outcome: 'unavailable' });
    const before = beats();
    await until(() => beats() > before + 3);
    const closed = once(socket, 'close');
    socket.on('error', () => undefined);
    rig.world.keys.delete(SERVER_KEY);
    await closed;
  });

  it('ends with the server', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [FLAG] });
    const { socket, text } = await listen(rig);
    await until(() => text().includes('event: put'));
    const closed = once(socket, 'close');
    await rig.stop();
    await closed;
    expect(text()).toMatch(/0\r\n\r\n$/);
  });
});

describe('documents', () => {
  it('come with a tag, and are not sent again to who has them', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [FLAG] });
    const first = await rig.ask('/sdk/latest-all', { headers: { 'accept-encoding': 'identity' } });
    const etag = first.headers.get('etag') ?? '';
    expect(await first.json()).toMatchObject({ flags: { f: { version: 1 } }, segments: {} });
    const headers = { 'if-none-match': etag };
    expect((await rig.ask('/sdk/latest-all', { headers })).status).toBe(304);
    rig.world.set({ flags: [splitFlag('f', 1)] });
    const changed = await rig.ask('/sdk/latest-all', { headers: { ...headers, 'accept-encoding': 'gzip' } });
    expect(changed.status).toBe(200);
    expect(changed.headers.get('content-encoding')).toBe('gzip');
    expect(await changed.json()).toMatchObject({ flags: { f: { version: 2 } } });
  });

  it('can be asked for one by one', async () => {
    await using rig = await openSdkRig();
    rig.world.set({ flags: [FLAG], segments: [{ key: 's/1', included: [], excluded: [], rules: [] }] });
    expect(await (await rig.ask('/sdk/latest-flags')).json()).toMatchObject({ f: { key: 'f' } });
    expect(await (await rig.ask('/sdk/flags/f')).json()).toMatchObject({ key: 'f', version: 1 });
    expect(await (await rig.ask('/sdk/segments/s%2F1')).json()).toMatchObject({ key: 's/1' });
    const missing = await rig.ask('/sdk/flags/g');
    expect(missing.status).toBe(404);
    expect(await missing.json()).toEqual({ code: 'request.not_found', message: 'there is no "g" among the flags' });
  });

  it('are at the addresses that a wrong one is answered with', async () => {
    await using rig = await openSdkRig();
    const answer = await rig.ask('/mobile');
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ message: expect.stringContaining('/sdk/latest-all') });
  });
});

describe('GET /status', () => {
  it('says whether flags are loaded, to everybody', async () => {
    await using rig = await openSdkRig();
    const status = async () => await rig.ask('/status', { headers: { authorization: '' } });
    expect((await status()).status).toBe(503);
    rig.world.set({});
    expect(await (await status()).json()).toEqual({ status: 'healthy' });
  });
});
