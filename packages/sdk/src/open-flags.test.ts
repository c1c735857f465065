import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Flags, type FlagsChange, openFlags, type OpenFlagsOptions } from './open-flags.ts';
import type { SdkProblem } from './problem.ts';
import type { SnapshotStorage } from '@understudy/feed/snapshot-storage';
import { openTestStream, type Serve, testPorts, type TestPorts } from './test-ports.contract.ts';

type Stream = ReturnType<typeof openTestStream>;

let problems: SdkProblem[];
let streams: Stream[];
let open: Flags[];
beforeEach(() => {
  problems = [];
  streams = [];
  open = [];
});
afterEach(async () => {
  for (const flags of open) await flags.close();
});

const codes = (): readonly string[] => problems.map(({ code }) => code);

function snapshotOf(revision: number, value: string, more: object = {}): string {
  const flag = {
    key: 'greeting',
    type: 'string',
    on: true,
    variants: [{ name: 'only', value }],
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: { variant: 'only' },
    bucketing: { profile: 'unleash', salt: 'greeting' },
    ...more,
  };
  return JSON.stringify({ format: 1, environment: 'production', revision, documents: { flags: [flag], segments: [] } });
}

const eventOf = (id: string, body: string): string => `id: ${id}\nevent: snapshot\ndata: ${body}\n\n`;
const streaming = (init: RequestInit): Response => {
  const stream = openTestStream(init);
  streams.push(stream);
  stream.send('retry: 700\n\n');
  return stream.response;
};
const polled = (id: string, body: string): Response => new Response(body, { status: 200, headers: { etag: `"${id}"` } });
const isStream = (path: string): boolean => path.endsWith('/stream');

function begin(serve: Serve, more: Partial<OpenFlagsOptions> = {}): { readonly flags: Flags; readonly ports: TestPorts } {
  const ports = testPorts(serve);
  const onProblem = (problem: SdkProblem): void => void problems.push(problem);
  const flags = openFlags({ url: 'http://server/', key: 'us_a_b', onProblem, ...more }, ports);
  open.push(flags);
  return { flags, ports };
}

const hanging: Serve = (_path, { signal }) =>
  new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted'))));

const pathsOf = ({ asked }: TestPorts): readonly string[] => asked.map(({ path }) => path.replace('/flags/v1/', ''));
const greeting = (flags: Flags): string => flags.string('greeting', 'ana', 'none');

function memoryStorage(texts: string[] = []): SnapshotStorage & { readonly texts: string[] } {
  return {
    texts,
    read: async () => ({ texts: [...texts], problems: [] }),
    write: async (text) => void texts.unshift(text),
  };
}

describe('a stream', () => {
  it('brings the flags, then each change, and says which flags changed', async () => {
    const { flags, ports } = begin((_path, init) => streaming(init));
    const changes: FlagsChange[] = [];
    flags.onChange((change) => void changes.push(change));
    expect(greeting(flags)).toBe('none');
    await ports.pass(0);
    streams[0]?.send(eventOf('1-a', snapshotOf(1, 'hello')));
    await ports.pass(0);
    expect(await flags.ready).toMatchObject({ state: 'live', revision: 1, source: 'stream', ageMs: 0 });
    expect(greeting(flags)).toBe('hello');
    streams[0]?.send(eventOf('2-b', snapshotOf(2, 'hi')));
    await ports.pass(0);
    expect(greeting(flags)).toBe('hi');
    expect(changes).toEqual([
      { revision: 1, flags: ['greeting'] },
      { revision: 2, flags: ['greeting'] },
    ]);
    expect(ports.asked[0]?.headers.get('authorization')).toBe('Bearer us_a_b');
    expect(problems).toEqual([]);
  });

  it('is opened again where it broke, with what is known, after the time that the server asked for', async () => {
    const { flags, ports } = begin((_path, init) => streaming(init));
    await ports.pass(0);
    streams[0]?.send(eventOf('1-a', snapshotOf(1, 'hello')));
    await ports.pass(10_000);
    streams[0]?.end();
    await ports.pass(699);
    expect(streams).toHaveLength(1);
    await ports.pass(1);
    expect(ports.asked[1]?.headers.get('last-event-id')).toBe('1-a');
    streams[1]?.send('event: current\ndata: 1-a\n\n');
    await ports.pass(0);
    expect(flags.status()).toMatchObject({ state: 'live', ageMs: 0 });
    expect(pathsOf(ports)).toEqual(['stream', 'stream']);
  });

  it('counts as broken when it is silent for longer than three heartbeats, and its age shows', async () => {
    const { flags, ports } = begin((_path, init) => streaming(init));
    await ports.pass(0);
    streams[0]?.send(eventOf('1-a', snapshotOf(1, 'hello')));
    await ports.pass(40_000);
    expect(flags.status().ageMs).toBe(40_000);
    streams[0]?.send(':\n\n');
    await ports.pass(0);
    expect(flags.status().ageMs).toBe(0);
    await ports.pass(46_000);
    expect(streams).toHaveLength(2);
    expect(codes()).toEqual(['server.unreachable']);
  });

  it('is not believed to be current before the server has said so', async () => {
    const kept = JSON.stringify({ kept: 1, url: 'http://server/', id: '1-a', keptAtMs: 5, body: snapshotOf(1, 'old') });
    const { flags, ports } = begin((_path, init) => streaming(init), { storage: memoryStorage([kept]) });
    await ports.pass(0);
    streams[0]?.send(':\n\n');
    await ports.pass(0);
    expect(flags.status()).toMatchObject({ state: 'stale', source: 'disk' });
    streams[0]?.send(eventOf('2-b', snapshotOf(2, 'new')));
    await ports.pass(0);
    expect(flags.status()).toMatchObject({ state: 'live', source: 'stream', revision: 2 });
  });
});

describe('where streams are cut', () => {
  it('polls with what is known, and tries a stream again now and then', async () => {
    const answer: Serve = (path, init) => {
      if (isStream(path)) return new Response('no streams here', { status: 502 });
      const known = new Headers(init.headers).get('if-none-match');
      return known === '"1-a"' ? new Response(null, { status: 304 }) : polled('1-a', snapshotOf(1, 'hello'));
    };
    const { flags, ports } = begin(answer, { pollMs: 1000 });
    await ports.pass(0);
    expect(await flags.ready).toMatchObject({ state: 'live', source: 'poll' });
    expect(greeting(flags)).toBe('hello');
    await ports.pass(6500);
    expect(pathsOf(ports)).toEqual(['stream', ...Array.from({ length: 6 }, () => 'snapshot'), 'stream', 'snapshot']);
    expect(flags.status()).toMatchObject({ state: 'live', ageMs: 500 });
  });

  it('does not wait for a stream that never says anything', async () => {
    const silent: Serve = (path, init) =>
      isStream(path) ? openTestStream(init).response : polled('1-a', snapshotOf(1, 'hello'));
    const { flags, ports } = begin(silent);
    await ports.pass(10_000);
    expect(greeting(flags)).toBe('hello');
    expect(flags.status()).toMatchObject({ state: 'live', source: 'poll' });
  });
});

describe('a server that is away', () => {
  it('leaves the defaults, is asked less and less often, and is believed as soon as it is back', async () => {
    let isUp = false;
    const { flags, ports } = begin((_path, init) => (isUp ? streaming(init) : Promise.reject(new Error('refused'))));
    await ports.pass(0);
    expect(await flags.ready).toMatchObject({ state: 'starting', revision: undefined, ageMs: undefined });
    expect(flags.stringDetails('greeting', 'ana', 'none')).toMatchObject({
      value: 'none',
      reason: 'ERROR',
      errorCode: 'PROVIDER_NOT_READY',
    });
    await ports.pass(120_000);
    // Half of 1, 2, 4, 8, 16, 30, 30, … seconds.
    expect(ports.asked.length / 2).toBeLessThan(14);
    isUp = true;
    await ports.pass(15_000);
    streams[0]?.send(eventOf('1-a', snapshotOf(1, 'hello')));
    await ports.pass(0);
    expect(greeting(flags)).toBe('hello');
    expect(codes()).toEqual(['server.unreachable']);
  });

  it('makes the flags stale and nothing else', async () => {
    let isUp = true;
    const { flags, ports } = begin((_path, init) => (isUp ? streaming(init) : new Response('starting', { status: 503 })));
    const states: string[] = [];
    flags.onStatus(({ state }) => void states.push(state));
    await ports.pass(0);
    streams[0]?.send(eventOf('1-a', snapshotOf(1, 'hello')));
    await ports.pass(30_000);
    isUp = false;
    streams[0]?.end();
    await ports.pass(3000);
    expect(greeting(flags)).toBe('hello');
    expect(flags.status()).toMatchObject({ state: 'stale', revision: 1 });
    isUp = true;
    await ports.pass(30_000);
    streams.at(-1)?.send('event: current\ndata: 1-a\n\n');
    await ports.pass(0);
    expect(states).toEqual(['live', 'stale', 'live']);
  });

  it('waits as long as the server asks', async () => {
    const refuse = (): Response => new Response('', { status: 503, headers: { 'retry-after': '20' } });
    const { ports } = begin(refuse);
    await ports.pass(19_000);
    expect(ports.asked).toHaveLength(2);
    await ports.pass(1000);
    expect(ports.asked).toHaveLength(4);
  });

  it('that does not know the key is asked every few minutes only, and told of once', async () => {
    const { flags, ports } = begin(() => new Response('{"error":{"code":"auth.invalid_token"}}', { status: 401 }));
    await ports.pass(0);
    expect(await flags.ready).toMatchObject({ state: 'starting' });
    await ports.pass(900_000);
    expect(ports.asked.length).toBeLessThan(7);
    expect(problems).toEqual([{ code: 'key.refused', message: expect.stringMatching(/401.*auth\.invalid_token/) }]);
  });

  it('does not keep ready waiting for longer than it was told', async () => {
    const { flags, ports } = begin(hanging, { readyWithinMs: 2000 });
    let isReady = false;
    void flags.ready.then(() => (isReady = true));
    await ports.pass(1999);
    expect(isReady).toBe(false);
    await ports.pass(1);
    expect(isReady).toBe(true);
  });
});

describe('what does not fit', () => {
  it.each([
    { name: 'is cut short', body: snapshotOf(2, 'bad').slice(0, -1) },
    { name: 'is of a later format', body: snapshotOf(2, 'bad').replace('"format":1', '"format":2') },
    {
      name: 'has a rule that this SDK does not know',
      body: snapshotOf(2, 'bad', { rules: [{ all: [{ type: 'moon' }], serve: { variant: 'only' } }] }),
    },
    { name: 'has a hash that this SDK does not know', body: snapshotOf(2, 'bad', { bucketing: { profile: 'new', salt: '' } }) },
    { name: 'is something else', body: '<html>' },
  ])('and $name never replaces what is good', async ({ body }) => {
    const storage = memoryStorage();
    const { flags, ports } = begin((_path, init) => streaming(init), { storage });
    await ports.pass(0);
    streams[0]?.send(eventOf('1-a', snapshotOf(1, 'hello')));
    await ports.pass(0);
    streams[0]?.send(eventOf('2-b', body));
    await ports.pass(0);
    expect(greeting(flags)).toBe('hello');
    expect(flags.status()).toMatchObject({ state: 'stale', revision: 1 });
    expect(codes()).toEqual(['snapshot.invalid']);
    expect(storage.texts).toHaveLength(1);
  });

  it('but can be evaluated is used, and told of', async () => {
    const { flags, ports } = begin((_path, init) => streaming(init));
    await ports.pass(0);
    const rules = [
      { all: [{ type: 'attribute', attribute: 'a', operator: 'matches', values: ['('] }], serve: { variant: 'only' } },
    ];
    streams[0]?.send(eventOf('1-a', snapshotOf(1, 'hello', { rules, fieldOfTomorrow: 1 })));
    await ports.pass(0);
    expect(greeting(flags)).toBe('hello');
    expect(codes()).toEqual(['document.problem']);
  });
});

describe('what was kept', () => {
  const kept = (more: object): string =>
    JSON.stringify({
      kept: 1,
      url: 'http://server/',
      id: '1-a',
      keptAtMs: 1_799_999_990_000,
      body: snapshotOf(1, 'kept'),
      ...more,
    });
  const away: Serve = () => Promise.reject(new Error('refused'));

  it('is served while the server is away, with its age', async () => {
    const { flags, ports } = begin(away, { storage: memoryStorage([kept({})]) });
    await ports.pass(0);
    expect(await flags.ready).toEqual({ state: 'stale', revision: 1, environment: 'production', source: 'disk', ageMs: 10_000 });
    expect(greeting(flags)).toBe('kept');
  });

  it.each([
    { name: 'is unreadable', texts: ['{'], code: 'storage.damaged' },
    { name: 'holds no flags', texts: [kept({ body: '{}' })], code: 'storage.damaged' },
  ])('and $name gives way to the generation before', async ({ texts, code }) => {
    const { flags, ports } = begin(away, { storage: memoryStorage([...texts, kept({ body: snapshotOf(1, 'older') })]) });
    await ports.pass(0);
    expect(greeting(flags)).toBe('older');
    expect(codes()).toEqual([code, 'server.unreachable']);
  });

  it('from another server is not used', async () => {
    const { flags, ports } = begin(away, { storage: memoryStorage([kept({ url: 'http://other' })]) });
    await ports.pass(0);
    expect(greeting(flags)).toBe('none');
  });

  it('in a storage that fails costs nothing but a problem', async () => {
    const broken: SnapshotStorage = {
      read: () => Promise.reject(new Error('no disk')),
      write: () => Promise.reject(new Error('no space')),
    };
    const { flags, ports } = begin((_path, init) => streaming(init), { storage: broken });
    await ports.pass(0);
    streams[0]?.send(eventOf('1-a', snapshotOf(1, 'hello')));
    await ports.pass(0);
    expect(greeting(flags)).toBe('hello');
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('no disk'),
      expect.stringContaining('no space'),
    ]);
  });
});

describe('asking', () => {
  async function ready(body: string): Promise<Flags> {
    const { flags, ports } = begin((_path, init) => streaming(init));
    await ports.pass(0);
    streams[0]?.send(eventOf('1-a', body));
    await ports.pass(0);
    return flags;
  }

  it('never throws, whatever it is asked with', async () => {
    const flags = await ready(snapshotOf(1, 'hello'));
    const odd: readonly unknown[] = [undefined, null, 3, '', {}, { kind: 'multi' }, { kind: 'multi', user: 3 }, { key: 10n }, []];
    for (const subject of odd) {
      expect(flags.string('greeting', subject as string, 'none')).toMatch(/^(?:hello|none)$/);
      expect(() => flags.version('greeting', subject as string, 'v1').report({ latencyMs: 1 })).not.toThrow();
    }
    expect(flags.stringDetails('nothing', 'ana', 'none')).toMatchObject({
      value: 'none',
      errorCode: 'FLAG_NOT_FOUND',
      revision: 1,
    });
    expect(flags.numberDetails('greeting', 'ana', 7)).toMatchObject({ value: 7, errorCode: 'TYPE_MISMATCH' });
    expect(flags.jsonDetails('greeting', 'ana', {})).toMatchObject({ value: 'hello', variant: 'only', reason: 'STATIC' });
  });

  it('says when a flag divides users and there is no key to divide by', async () => {
    const variants = ['a', 'b'].map((name) => ({ name, value: name }));
    const slices = variants.map(({ name }) => ({ variant: name, weight: 50_000 }));
    const flags = await ready(snapshotOf(1, '', { variants, fallthrough: { split: { slices } } }));
    for (const subject of ['', {}, { plan: 'pro' }]) {
      expect(flags.stringDetails('greeting', subject, 'none')).toMatchObject({
        value: 'none',
        errorCode: 'TARGETING_KEY_MISSING',
      });
    }
    expect(flags.stringDetails('greeting', { key: 'ana' }, 'none').reason).toBe('SPLIT');
  });

  it('knows entities of several kinds, and the environment', async () => {
    const test = (kind: string, attribute: string, value: string) => ({
      type: 'attribute',
      kind,
      attribute,
      operator: 'in',
      values: [value],
    });
    const rules = [{ all: [test('request', 'path', '/'), test('environment', 'key', 'production')], serve: { variant: 'rule' } }];
    const variants = ['only', 'rule'].map((name) => ({ name, value: name }));
    const flags = await ready(snapshotOf(1, '', { variants, rules }));
    expect(greeting(flags)).toBe('only');
    expect(flags.string('greeting', { kind: 'multi', user: { key: 'ana' }, request: { path: '/' } }, 'none')).toBe('rule');
  });

  it('goes on after closing, with what was known', async () => {
    const flags = await ready(snapshotOf(1, 'hello'));
    await flags.close();
    await flags.close();
    expect(greeting(flags)).toBe('hello');
    expect(flags.status().state).toBe('closed');
  });

  it('is not disturbed by a callback that throws', async () => {
    const { flags, ports } = begin((_path, init) => streaming(init));
    flags.onChange(() => {
      throw new Error('mine');
    });
    await ports.pass(0);
    streams[0]?.send(eventOf('1-a', snapshotOf(1, 'hello')));
    await ports.pass(0);
    expect(greeting(flags)).toBe('hello');
    expect(problems).toEqual([{ code: 'listener.failed', message: 'a callback threw: mine' }]);
  });
});
