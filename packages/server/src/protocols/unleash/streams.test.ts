// Streams on the wire, and which SDKs are asked to open one.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ProtocolWorld, splitFlag } from '../test-world.ts';
import { openStreamInvitations } from './stream-invitations.ts';
import { openWorld, portOf, serve, type Served, SERVER_KEY } from './test-sdks.ts';

/** The blocks of a stream, one by one. */
async function* stream({ api }: Served, headers: Readonly<Record<string, string>> = {}): AsyncGenerator<string, void> {
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const url = `${api}/client/streaming`;
  const { body } = await fetch(url, { headers: { authorization: SERVER_KEY, ...headers }, signal: abort.signal });
  let text = '';
  for await (const bytes of body ?? []) {
    text += new TextDecoder().decode(bytes);
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    yield* blocks;
  }
}

async function nextOf(blocks: AsyncGenerator<string, void>): Promise<string> {
  return String((await blocks.next()).value);
}

const LONG = { heartbeatMs: 3_600_000 };

describe('a stream', () => {
  it('begins with how long to wait before coming back and with all features, and goes on with changes', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0)] });
    const blocks = stream(await serve(world, LONG));
    const retryMs = Number(/^retry: (\d+)$/.exec(await nextOf(blocks))?.[1]);
    expect(retryMs).toBeGreaterThanOrEqual(1000);
    expect(retryMs).toBeLessThanOrEqual(2000);
    expect(await nextOf(blocks)).toMatch(
      /^id: \S+\nevent: unleash-connected\ndata: \{"events":\[\{"type":"hydration","eventId":1,"features":\[/,
    );
    world.set({ flags: [splitFlag('ml', 1000)] });
    expect(await nextOf(blocks)).toMatch(
      /^id: \S+\nevent: unleash-updated\ndata: \{"events":\[\{"type":"feature-updated","eventId":2,/,
    );
    world.set({ flags: [splitFlag('ml', 1000)] });
    world.set({ flags: [] });
    const removed = '{"type":"feature-removed","eventId":4,"featureName":"ml","project":"default"}';
    expect(await nextOf(blocks)).toContain(`data: {"events":[${removed}]}`);
  });

  it('tells of segments before the features that need them, and of their end after those', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0)] });
    const blocks = stream(await serve(world, LONG));
    await nextOf(blocks);
    await nextOf(blocks);
    const rules = [{ all: [{ type: 'segment', segments: ['eu'] } as const], serve: { variant: 'v2' } }];
    const segments = [{ key: 'eu', included: [], excluded: [], rules: [] }];
    const typesIn = (block: string) => [...block.matchAll(/\{"type":"([a-z-]+)","eventId"/g)].map(([, type]) => type);
    world.set({ flags: [splitFlag('ml', 0, { rules })], segments });
    expect(typesIn(await nextOf(blocks))).toEqual(['segment-updated', 'feature-updated']);
    world.set({ flags: [splitFlag('ml', 0)] });
    expect(typesIn(await nextOf(blocks))).toEqual(['feature-updated', 'segment-removed']);
  });

  it('that comes back begins with what it missed, or with everything when that is not known', async () => {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 0), splitFlag('same', 0)] });
    const served = await serve(world, LONG);
    const openingOf = async (lastEventId: string) => {
      const blocks = stream(served, { 'last-event-id': lastEventId });
      await nextOf(blocks);
      return nextOf(blocks);
    };
    const [, id = ''] = /^id: (\S+)/.exec(await openingOf('of another server')) ?? [];
    expect(await openingOf(id)).toContain('event: unleash-connected\ndata: {"events":[]}');
    world.set({ flags: [splitFlag('ml', 1000), splitFlag('same', 0)] });
    const missed = await openingOf(id);
    expect(missed).toContain('"type":"feature-updated"');
    expect(missed).not.toContain('"name":"same"');
    expect(await openingOf('of another server')).toContain('"type":"hydration"');
  });

  it('has a heartbeat', async () => {
    const world = openWorld();
    world.set({ flags: [] });
    const blocks = stream(await serve(world, { heartbeatMs: 10 }));
    await nextOf(blocks);
    await nextOf(blocks);
    expect(await nextOf(blocks)).toBe(':');
  });

  it('ends when its key is revoked, not when keys cannot be looked up', async () => {
    const world = openWorld();
    world.set({ flags: [] });
    const served = await serve(world, { heartbeatMs: 10 });
    const blocks = stream(served);
    world.keys.set(SERVER_KEY, { outcome: 'known', name: 'payments', use: 'server' });
    await nextOf(blocks);
    world.keys.set(SERVER_KEY, { outcome: 'unavailable' });
    for (let beats = 0; beats < 5; beats += 1) expect((await blocks.next()).done).toBe(false);
    world.keys.delete(SERVER_KEY);
    let isDone: boolean | undefined = false;
    while (isDone !== true) isDone = (await blocks.next()).done;
  });

  it('ends with the server', async () => {
    const world = openWorld();
    world.set({ flags: [] });
    const served = await serve(world, LONG);
    const blocks = stream(served);
    await nextOf(blocks);
    await nextOf(blocks);
    const end = blocks.next();
    await served.app.close();
    expect((await end).done).toBe(true);
  });

  it('is refused with 429 beyond the limit, so that SDKs poll, until one has ended', async () => {
    const world = openWorld();
    world.set({ flags: [] });
    const served = await serve(world, { ...LONG, maxStreams: 1 });
    const headers = { authorization: SERVER_KEY };
    const first = new AbortController();
    await fetch(`${served.api}/client/streaming`, { headers, signal: first.signal });
    const refused = await fetch(`${served.api}/client/streaming`, { headers });
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('5');
    first.abort();
    let status = 429;
    while (status === 429) {
      const again = await fetch(`${served.api}/client/streaming`, { headers });
      ({ status } = again);
      await again.body?.cancel();
    }
    expect(status).toBe(200);
  });
});

describe('a reader that does not read', () => {
  /** Opens a stream and looks away. @returns why it was cut */
  async function openUnread(world: ProtocolWorld, options: { readonly heartbeatMs: number; readonly maxBehindBytes: number }) {
    const cuts: unknown[] = [];
    const log = { ...world.ports.log, info: (fields: object) => void cuts.push(fields) };
    const served = await serve({ ...world, ports: { ...world.ports, log } }, options);
    const socket = connect(portOf(served), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write(`GET /unleash/api/client/streaming HTTP/1.1\r\nhost: x\r\nauthorization: ${SERVER_KEY}\r\n\r\n`);
    await once(socket, 'readable');
    return cuts;
  }

  const bigFlags = (round: number) => {
    const value = String(round).padEnd(1_000_000, 'x');
    return { flags: [splitFlag('big', 0, { variants: [{ name: 'v1', value }] })] };
  };

  it('is cut when it is too far behind', async () => {
    const world = openWorld();
    world.set(bigFlags(0));
    const cuts = await openUnread(world, { ...LONG, maxBehindBytes: 100_000 });
    for (let round = 1; cuts.length === 0 && round < 200; round += 1) {
      world.set(bigFlags(round));
      await setImmediate();
    }
    expect(cuts).toEqual([{ why: 'too far behind', behindBytes: expect.any(Number) }]);
  });

  it('is cut when it takes nothing for some heartbeats', async () => {
    const world = openWorld();
    world.set(bigFlags(0));
    const cuts = await openUnread(world, { heartbeatMs: 20, maxBehindBytes: 1e9 });
    for (let round = 1; round < 20; round += 1) {
      world.set(bigFlags(round));
      await setImmediate();
    }
    await expect
      .poll(() => cuts, { timeout: 5000, interval: 10 })
      .toEqual([{ why: 'takes nothing', behindBytes: expect.any(Number) }]);
  });
});

describe('an invitation to stream', () => {
  const NODE = { 'unleash-sdk': 'unleash-node-sdk:6.12.1', 'unleash-connection-id': 'c1', 'if-none-match': '"x"' };

  function invitations({ hasRoom = true } = {}) {
    let nowMs = 0;
    const opened = openStreamInvitations({ clock: { nowMs: () => nowMs }, hasRoom: () => hasRoom });
    return { ...opened, wait: (ms: number) => void (nowMs += ms) };
  }

  it.each([
    { name: 'an SDK that has flags', headers: NODE, expected: true },
    {
      name: 'the first that goes back to polling by itself',
      headers: { ...NODE, 'unleash-sdk': 'unleash-node-sdk:6.9.0' },
      expected: true,
    },
    { name: 'a later one', headers: { ...NODE, 'unleash-sdk': 'unleash-node-sdk:7.0.0-beta.1' }, expected: true },
    { name: 'one that does not', headers: { ...NODE, 'unleash-sdk': 'unleash-node-sdk:6.8.1' }, expected: false },
    { name: 'one of another language', headers: { ...NODE, 'unleash-sdk': 'unleash-python-sdk:6.8.0' }, expected: false },
    { name: 'one that does not say', headers: { 'unleash-connection-id': 'c1', 'if-none-match': '"x"' }, expected: false },
    { name: 'one without flags', headers: { ...NODE, 'if-none-match': undefined }, expected: false },
    { name: 'one that cannot be told from others', headers: { ...NODE, 'unleash-connection-id': undefined }, expected: false },
  ])('of $name: $expected', ({ headers, expected }) => {
    expect(invitations().invites(headers)).toBe(expected);
  });

  it('is not made when there is no room', () => {
    expect(invitations({ hasRoom: false }).invites(NODE)).toBe(false);
  });

  it('is not made again within ten minutes', () => {
    const { invites, wait } = invitations();
    expect(invites(NODE)).toBe(true);
    wait(599_999);
    expect(invites(NODE)).toBe(false);
    wait(1);
    expect(invites(NODE)).toBe(true);
  });

  it('is taken back when streams break again and again, as behind a proxy that keeps them back', () => {
    const { invites, admits, wait } = invitations();
    invites(NODE);
    const admitted = Array.from({ length: 5 }, () => {
      wait(61_000);
      return admits(NODE);
    });
    expect(admitted).toEqual([true, true, true, true, false]);
    wait(599_999);
    expect(invites(NODE)).toBe(false);
    wait(1);
    expect(invites(NODE)).toBe(true);
  });

  it('leaves SDKs alone that stream by themselves', () => {
    const { admits } = invitations();
    expect(Array.from({ length: 20 }, () => admits(NODE))).not.toContain(false);
  });
});
