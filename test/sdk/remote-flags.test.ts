// Flags for browsers against our own OFREP on a real port: contexts, changes, outages, reloads.
import type { Flag } from '@understudy/core/flags/flag';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { browserStorage } from '../../packages/sdk/src/browser-storage.ts';
import type { SdkProblem } from '../../packages/sdk/src/problem.ts';
import { openRemoteFlags, type OpenRemoteFlagsOptions, type RemoteFlags } from '../../packages/sdk/src/remote-flags.ts';
import {
  CLIENT_KEY,
  eventually,
  openProtocolRig,
  type ProtocolRig,
} from '../../packages/server/src/protocols/edge/protocol-rig.contract.ts';
import { ofrepProtocol } from '../../packages/server/src/protocols/ofrep/ofrep.ts';
import { splitFlag } from '../../packages/server/src/protocols/test-world.ts';

let rig: ProtocolRig;
let open: RemoteFlags[];
let problems: SdkProblem[];

beforeEach(async () => {
  open = [];
  problems = [];
  rig = await openProtocolRig('/ofrep', ({ ports }) => ofrepProtocol(ports));
});
afterEach(async () => {
  for (const flags of open) await flags.close();
  await rig.stop();
});

function begin(more: Partial<OpenRemoteFlagsOptions> = {}): RemoteFlags {
  const onProblem = (problem: SdkProblem): void => void problems.push(problem);
  const flags = openRemoteFlags({ url: rig.origin, key: CLIENT_KEY, context: 'user-1', onProblem, ...more });
  open.push(flags);
  return flags;
}

function storageOf(entries: Map<string, string> = new Map()) {
  return {
    getItem: (key: string) => entries.get(key) ?? null,
    setItem: (key: string, value: string) => void entries.set(key, value),
  };
}

const ruled: Flag = splitFlag('model', 0, {
  rules: [{ all: [{ type: 'attribute', attribute: 'plan', operator: 'in', values: ['pro'] }], serve: { variant: 'v2' } }],
  fallthrough: { variant: 'v1' },
});

it('are those of the context, which can change', async () => {
  rig.set({ flags: [ruled, splitFlag('split', 50_000)] });
  const flags = begin();
  expect(flags.string('model', 'none')).toBe('none');
  expect(await flags.ready).toMatchObject({ state: 'live', revision: 1, environment: 'production' });
  expect(flags.stringDetails('model', 'none')).toMatchObject({ value: 'v1', variant: 'v1', reason: 'DEFAULT', revision: 1 });
  expect(flags.stringDetails('absent', 'none')).toMatchObject({ value: 'none', errorCode: 'FLAG_NOT_FOUND' });
  expect(flags.numberDetails('model', 1)).toMatchObject({ value: 1, errorCode: 'TYPE_MISMATCH' });
  const changes: (readonly string[])[] = [];
  flags.onChange(({ flags: keys }) => void changes.push(keys));
  await flags.setContext({ key: 'user-1', plan: 'pro' });
  expect(flags.stringDetails('model', 'none')).toMatchObject({ value: 'v2', reason: 'TARGETING_MATCH' });
  expect(changes).toEqual([['model']]);
  await flags.setContext({});
  expect(flags.stringDetails('split', 'none')).toMatchObject({ value: 'none', errorCode: 'TARGETING_KEY_MISSING' });
  expect(problems).toEqual([]);
});

it('never are those of the user before, not even for a moment', async () => {
  rig.set({ flags: [splitFlag('split', 50_000)] });
  const flags = begin();
  await flags.ready;
  const changing = flags.setContext('user-2');
  expect(flags.stringDetails('split', 'none')).toMatchObject({ value: 'none', errorCode: 'PROVIDER_NOT_READY' });
  await changing;
  expect(flags.string('split', 'none')).toBe(rig.evaluate('split', { user: { key: 'user-2' } }).value);
});

it('are those of the last context when it changes quickly', async () => {
  rig.set({ flags: [splitFlag('split', 50_000)] });
  const flags = begin();
  await Promise.all(['user-2', 'user-3', 'user-4'].map((user) => flags.setContext(user)));
  expect(flags.status()).toMatchObject({ state: 'live' });
  expect(flags.string('split', 'none')).toBe(rig.evaluate('split', { user: { key: 'user-4' } }).value);
});

describe('a change', () => {
  it('arrives by the stream of events, many in a row as the last one', async () => {
    rig.set({ flags: [splitFlag('model', 0)] });
    const flags = begin();
    await flags.ready;
    await eventually(() => flags.status().source === 'stream');
    for (let weight = 1; weight <= 20; weight += 1) rig.set({ flags: [splitFlag('model', weight * 5000)] });
    await eventually(() => flags.string('model', 'none') === 'v2' && flags.status().revision === 21);
    expect(problems).toEqual([]);
  });

  it('that was made while the server was away arrives when it is back', async () => {
    rig.set({ flags: [splitFlag('model', 0)] });
    const flags = begin();
    const states: string[] = [];
    flags.onStatus(({ state }) => void states.push(state));
    await flags.ready;
    await eventually(() => flags.status().source === 'stream');
    await rig.stop();
    await eventually(() => flags.status().state === 'stale');
    expect(flags.string('model', 'none')).toBe('v1');
    rig.set({ flags: [splitFlag('model', 100_000)] });
    await rig.start();
    await eventually(() => flags.string('model', 'none') === 'v2');
    await eventually(() => flags.status().state === 'live');
    expect(states.slice(0, 3)).toEqual(['live', 'stale', 'live']);
  }, 30_000);
});

describe('a reload without the server', () => {
  it('begins with what was known of this context, and only of this one', async () => {
    rig.set({ flags: [splitFlag('model', 100_000)] });
    const kept = storageOf();
    const before = begin({ storage: browserStorage('flags', kept) });
    await before.ready;
    await before.close();
    await rig.stop();
    const after = begin({ storage: browserStorage('flags', kept) });
    expect(await after.ready).toMatchObject({ state: 'stale', source: 'disk', revision: 1 });
    expect(after.string('model', 'none')).toBe('v2');
    const other = begin({ storage: browserStorage('flags', kept), context: 'user-2' });
    expect(await other.ready).toMatchObject({ state: 'starting' });
    expect(other.string('model', 'none')).toBe('none');
    await rig.start();
  });

  it('keeps nothing that tells who the user is', async () => {
    rig.set({ flags: [splitFlag('model', 100_000)] });
    const entries = new Map<string, string>();
    const flags = begin({
      storage: browserStorage('flags', storageOf(entries)),
      context: { key: 'ana', mail: 'ana@example.com' },
    });
    await flags.ready;
    await flags.close();
    expect(entries.get('flags')).toContain('v2');
    expect(entries.get('flags')).not.toContain('ana');
  });

  it('is not harmed by a storage that is forbidden', async () => {
    rig.set({ flags: [splitFlag('model', 100_000)] });
    const forbidden = {
      getItem: (): string => {
        throw new Error('forbidden');
      },
      setItem: (): void => {
        throw new Error('full');
      },
    };
    const flags = begin({ storage: browserStorage('flags', forbidden) });
    await flags.ready;
    expect(flags.string('model', 'none')).toBe('v2');
    await eventually(() => problems.length === 2);
    expect(problems.map(({ code }) => code)).toEqual(['storage.failed', 'storage.failed']);
  });
});

it('says when the key is refused', async () => {
  rig.set({});
  const flags = begin({ key: 'nobody' });
  expect(await flags.ready).toMatchObject({ state: 'starting' });
  expect(problems).toMatchObject([{ code: 'key.refused' }]);
});
