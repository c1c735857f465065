// The snapshot and its stream, as any HTTP client sees them.
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { FlagSnapshot } from '@understudy/contract/flag-snapshot';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CLIENT_KEY, eventually, openProtocolRig, type ProtocolRig, SERVER_KEY } from '../edge/protocol-rig.contract.ts';
import { splitFlag } from '../test-world.ts';
import { flagsProtocol } from './flags.ts';

let rig: ProtocolRig;
let open: IncomingMessage[];

beforeEach(async () => {
  open = [];
  rig = await openProtocolRig('/flags', ({ ports }) => flagsProtocol(ports, { maxStreams: 2 }));
});

afterEach(async () => {
  vi.useRealTimers();
  for (const stream of open) stream.destroy();
  await rig.stop();
});

interface Ask {
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

const headersOf = ({ key = SERVER_KEY, headers = {} }: Ask): Record<string, string> => ({
  authorization: `Bearer ${key}`,
  ...headers,
});

function snapshot(ask: Ask = {}): Promise<Response> {
  return fetch(`${rig.origin}/flags/v1/snapshot`, { headers: headersOf(ask) });
}

interface Listening {
  readonly response: IncomingMessage;
  readonly text: () => string;
  readonly ids: () => string[];
}

async function listen(ask: Ask & { readonly query?: string } = {}): Promise<Listening> {
  const request = get(`${rig.origin}/flags/v1/stream${ask.query ?? ''}`, { agent: false, headers: headersOf(ask) });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  open.push(response);
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  response.on('error', () => undefined);
  return { response, text: () => text, ids: () => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? '') };
}

describe('GET /flags/v1/snapshot', () => {
  it('gives every document in the published envelope, with an entity tag', async () => {
    const segments = [{ key: 'testers', included: [{ keys: ['ana'] }], excluded: [], rules: [] }];
    rig.set({ flags: [splitFlag('model', 10_000)], segments });
    const response = await snapshot();
    expect(response.status).toBe(200);
    const body = FlagSnapshot.parse(await response.json());
    expect(body).toEqual({
      format: 1,
      environment: 'production',
      revision: 1,
      documents: { flags: [splitFlag('model', 10_000)], segments },
    });
    expect(response.headers.get('etag')).toMatch(/^"1-[\w-]{16}"$/);
    expect(response.headers.get('cache-control')).toBe('private, no-cache');
    expect(rig.sightings).toMatchObject([{ family: 'understudy', application: 'backend', isLocal: true }]);
  });

  it('answers 304 until the documents change, also when a proxy has weakened the tag', async () => {
    rig.set({ flags: [splitFlag('model', 10_000)] });
    const etag = (await snapshot()).headers.get('etag') ?? '';
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`]) {
      expect((await snapshot({ headers: { 'if-none-match': tag } })).status).toBe(304);
    }
    rig.set({ flags: [splitFlag('model', 20_000)] });
    expect((await snapshot({ headers: { 'if-none-match': etag } })).status).toBe(200);
  });

  it('has another tag at the same revision when the documents differ, as after a restored backup', async () => {
    rig.set({ flags: [splitFlag('model', 10_000)] });
    const [first] = [(await snapshot()).headers.get('etag')];
    const other = await openProtocolRig('/flags', ({ ports }) => flagsProtocol(ports));
    try {
      other.set({ flags: [splitFlag('model', 20_000)] });
      const response = await fetch(`${other.origin}/flags/v1/snapshot`, { headers: headersOf({}) });
      expect(await response.json()).toMatchObject({ revision: 1 });
      expect(response.headers.get('etag')).not.toBe(first);
    } finally {
      await other.stop();
    }
  });

  it('is compressed for whoever takes it, and plain for others', async () => {
    rig.set({ flags: [splitFlag('model', 10_000)] });
    const packed = await snapshot({ headers: { 'accept-encoding': 'gzip' } });
    const plain = await snapshot({ headers: { 'accept-encoding': 'identity' } });
    expect([packed.headers.get('content-encoding'), plain.headers.get('content-encoding')]).toEqual(['gzip', null]);
    expect(await packed.json()).toEqual(await plain.json());
  });
});

describe.each(['snapshot', 'stream'])('who may read the %s', (place) => {
  const ask = (headers: Record<string, string>): Promise<Response> => fetch(`${rig.origin}/flags/v1/${place}`, { headers });

  it('refuses a key for browsers and says what to use instead', async () => {
    rig.set({});
    const response = await ask(headersOf({ key: CLIENT_KEY }));
    expect(response.status).toBe(403);
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe('auth.forbidden');
    expect(error.message).toMatch(/"pages" is for browsers.*openRemoteFlags.*--scope flags/);
  });

  it('answers 503 with Retry-After before anything is loaded, whatever the key', async () => {
    for (const key of [SERVER_KEY, 'nobody']) {
      const response = await ask(headersOf({ key }));
      expect([response.status, response.headers.has('retry-after')]).toEqual([503, true]);
      expect(await response.json()).toMatchObject({ error: { code: 'snapshot.missing' } });
    }
  });

  it('says 401 only to a key that is surely unknown, or when there is none', async () => {
    rig.set({});
    rig.keys.set('slow', { outcome: 'unavailable' });
    expect((await ask(headersOf({ key: 'nobody' }))).status).toBe(401);
    expect((await ask({})).status).toBe(401);
    expect((await ask(headersOf({ key: 'slow' }))).status).toBe(503);
  });
});

describe('GET /flags/v1/stream', () => {
  it('begins with a time to come back after and the whole document, and sends it after each change', async () => {
    rig.set({ flags: [splitFlag('model', 10_000)] });
    const { text, ids } = await listen();
    await eventually(() => ids().length === 1);
    rig.set({ flags: [splitFlag('model', 20_000)] });
    await eventually(() => ids().length === 2);
    expect(text()).toMatch(/^retry: \d+\n\nid: 1-/);
    const documents = [...text().matchAll(/^event: snapshot\ndata: (.*)$/gm)].map(([, data]) =>
      FlagSnapshot.parse(JSON.parse(data ?? '')),
    );
    expect(documents.map(({ revision, documents: { flags } }) => [revision, flags])).toEqual([
      [1, [splitFlag('model', 10_000)]],
      [2, [splitFlag('model', 20_000)]],
    ]);
  });

  it.each(['Last-Event-ID', 'since'])('repeats nothing to whoever has the present one, as %s says', async (how) => {
    rig.set({ flags: [splitFlag('model', 10_000)] });
    const id = /^"(.*)"$/.exec((await snapshot()).headers.get('etag') ?? '')?.[1] ?? '';
    const again = await listen(how === 'since' ? { query: `?since=${id}` } : { headers: { 'last-event-id': id } });
    const behind = await listen({ headers: { 'last-event-id': '0-other' } });
    await eventually(() => behind.ids().length === 1 && again.text().includes('data:'));
    expect(again.text()).toMatch(/^retry: \d+\n\nevent: current\ndata: 1-[\w-]{16}\n\n$/);
    rig.set({ flags: [splitFlag('model', 20_000)] });
    await eventually(() => again.ids().length === 1);
    expect(again.ids()[0]).toMatch(/^2-/);
    expect(behind.ids()[0]).toBe(id);
  });

  it('refuses more streams than there may be, and takes one again when one has gone', async () => {
    rig.set({});
    const [first] = [await listen(), await listen()];
    const refused = await fetch(`${rig.origin}/flags/v1/stream`, { headers: headersOf({}) });
    expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true]);
    first.response.destroy();
    await eventually(async () => {
      const { response } = await listen();
      if (response.statusCode !== 200) response.destroy();
      return response.statusCode === 200;
    });
  });

  it('is cut when its key was revoked, and goes on for others', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await rig.stop();
    await rig.start();
    rig.keys.set('second', { outcome: 'known', name: 'other', use: 'server' });
    rig.set({});
    const [revoked, other] = [await listen({ key: 'second' }), await listen()];
    await eventually(() => revoked.ids().length + other.ids().length === 2);
    rig.keys.delete('second');
    vi.advanceTimersByTime(15_000);
    vi.useRealTimers();
    await eventually(() => revoked.response.destroyed);
    rig.set({ flags: [splitFlag('model', 1)] });
    await eventually(() => other.ids().length === 2);
  });

  it('ends when the server does', async () => {
    rig.set({});
    const { response } = await listen();
    await rig.stop();
    await eventually(() => response.complete || response.destroyed);
  });
});

it('leaves other addresses under its prefix to the server', async () => {
  rig.set({});
  expect(await (await fetch(`${rig.origin}/flags/checkout`)).json()).toMatchObject({ statusCode: 404 });
});
