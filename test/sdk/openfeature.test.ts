// Our providers in OpenFeature's own SDKs, against our server's protocols on a real port.
import { OpenFeature, type Provider, ProviderEvents, ProviderStatus } from '@openfeature/server-sdk';
import { OpenFeature as WebFeature, type Provider as PageProvider, ProviderEvents as PageEvents } from '@openfeature/web-sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Flags, openFlags } from '../../packages/sdk/src/open-flags.ts';
import { UnderstudyProvider } from '../../packages/sdk/src/openfeature-provider.ts';
import { UnderstudyWebProvider } from '../../packages/sdk/src/openfeature-web-provider.ts';
import type { LateScore, Outcome } from '../../packages/sdk/src/outcome.ts';
import type { Outcomes } from '../../packages/sdk/src/outcomes.ts';
import { openRemoteFlags } from '../../packages/sdk/src/remote-flags.ts';
import {
  CLIENT_KEY,
  derivedFlag,
  eventually,
  openProtocolRig,
  type ProtocolRig,
  SERVER_KEY,
} from '../../packages/server/src/protocols/edge/protocol-rig.contract.ts';
import { flagsProtocol } from '../../packages/server/src/protocols/flags/flags.ts';
import { ofrepProtocol } from '../../packages/server/src/protocols/ofrep/ofrep.ts';
import { splitFlag } from '../../packages/server/src/protocols/test-world.ts';

let rig: ProtocolRig;
let reported: Outcome[];
let scored: LateScore[];
let domains = 0;

beforeEach(() => {
  [reported, scored] = [[], []];
});
afterEach(async () => {
  await OpenFeature.clearProviders();
  await WebFeature.clearProviders();
  OpenFeature.clearHandlers();
  await rig.stop();
});

/** Takes down what would be sent. */
const outcomes: Outcomes = {
  report: (outcome) => void reported.push(outcome),
  score: (score) => void scored.push(score),
  flush: async () => true,
  status: () => ({ waiting: 0, sent: 0, dropped: 0 }),
  close: async () => undefined,
};

describe('the provider for servers', () => {
  beforeEach(async () => {
    rig = await openProtocolRig('/flags', ({ ports }) => flagsProtocol(ports));
  });

  const flagsOf = (): Flags => openFlags({ url: rig.origin, key: SERVER_KEY, outcomes });
  async function clientOf(flags: Flags = flagsOf()) {
    const domain = `ours-${(domains += 1)}`;
    // Typed by OpenFeature: that it fits is part of what is tested.
    const provider: Provider = new UnderstudyProvider(flags);
    await OpenFeature.setProviderAndWait(domain, provider);
    return OpenFeature.getClient(domain);
  }

  it('gives what the evaluator gives, with variant, reason and revision', async () => {
    const json = splitFlag('settings', 0, {
      type: 'json',
      variants: [{ name: 'v1', value: { size: [1, 2] } }],
      fallthrough: { variant: 'v1' },
    });
    rig.set({ flags: [splitFlag('model', 30_000), derivedFlag('model-v2', 'model'), json] });
    const client = await clientOf();
    for (let index = 0; index < 300; index += 1) {
      const targetingKey = `user-${index}`;
      const expected = rig.evaluate('model', { user: { key: targetingKey } });
      expect(await client.getStringDetails('model', 'none', { targetingKey })).toMatchObject({
        value: expected.value,
        variant: expected.variant,
        reason: 'SPLIT',
        flagMetadata: { revision: 1 },
      });
      expect(await client.getBooleanValue('model-v2', false, { targetingKey })).toBe(expected.variant === 'v2');
    }
    expect(await client.getObjectValue('settings', {})).toEqual({ size: [1, 2] });
    expect(await client.getNumberDetails('model', 3, { targetingKey: 'a' })).toMatchObject({
      value: 3,
      errorCode: 'TYPE_MISMATCH',
    });
    expect(await client.getStringDetails('nothing', 'd', {})).toMatchObject({
      value: 'd',
      errorCode: 'FLAG_NOT_FOUND',
      reason: 'ERROR',
    });
    expect(await client.getStringDetails('model', 'd', {})).toMatchObject({ value: 'd', errorCode: 'TARGETING_KEY_MISSING' });
  });

  it('reads contexts as the server does: paths, dates, and nothing that poses as the key', async () => {
    const test = (attribute: string, operator: 'in' | 'after', value: string) =>
      ({ type: 'attribute', attribute, operator, values: [value] }) as const;
    const rules = [
      { all: [test('/address/city', 'in', 'Rome'), test('since', 'after', '2026-01-01T00:00:00Z')], serve: { variant: 'v2' } },
    ];
    const pins = [{ variant: 'v2', keys: ['anna'] }];
    rig.set({ flags: [splitFlag('model', 0, { rules, pins, fallthrough: { variant: 'v1' } })] });
    const client = await clientOf();
    const context = { address: { city: 'Rome' }, since: new Date('2026-05-01') };
    expect(await client.getStringValue('model', 'none', context)).toBe('v2');
    expect(await client.getStringValue('model', 'none', { ...context, since: new Date('2025-05-01') })).toBe('v1');
    expect(await client.getStringValue('model', 'none', { targetingKey: 'bo', key: 'anna', kind: 'multi' })).toBe('v1');
  });

  it('tells of changes, of an outage and of its end', async () => {
    rig.set({ flags: [splitFlag('model', 0), splitFlag('other', 0)] });
    const client = await clientOf();
    const events: unknown[] = [];
    client.addHandler(ProviderEvents.ConfigurationChanged, (details) => void events.push(details?.flagsChanged));
    client.addHandler(ProviderEvents.Stale, () => void events.push('stale'));
    rig.set({ flags: [splitFlag('model', 100_000), splitFlag('other', 0)] });
    await eventually(() => events.length === 1);
    expect(await client.getStringValue('model', 'none', { targetingKey: 'a' })).toBe('v2');
    await rig.stop();
    await eventually(() => client.providerStatus === ProviderStatus.STALE);
    expect(await client.getStringValue('model', 'none', { targetingKey: 'a' })).toBe('v2');
    await rig.start();
    await eventually(() => client.providerStatus === ProviderStatus.READY);
    expect(events).toEqual([['model'], 'stale']);
  }, 30_000);

  it('fails to start without flags, and becomes ready by itself when they come', async () => {
    rig.set({ flags: [splitFlag('model', 100_000)] });
    await rig.stop();
    const domain = `ours-${(domains += 1)}`;
    await expect(OpenFeature.setProviderAndWait(domain, new UnderstudyProvider(flagsOf()))).rejects.toThrow('no flags came');
    const client = OpenFeature.getClient(domain);
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    expect(await client.getStringValue('model', 'none', { targetingKey: 'a' })).toBe('none');
    await rig.start();
    await eventually(() => client.providerStatus === ProviderStatus.READY);
    expect(await client.getStringValue('model', 'none', { targetingKey: 'a' })).toBe('v2');
  }, 30_000);

  it('reports what is tracked about a model, and leaves other events alone', async () => {
    rig.set({ flags: [splitFlag('rank-version', 100_000)] });
    const client = await clientOf();
    const context = { targetingKey: 'ana' };
    client.track('rank', context, { value: 0.83, latencyMs: 12, failed: 'timeout', scores: { top: 1 } });
    client.track('rank:clicked', context, { value: 1 });
    client.track('bought', context, { value: 10 });
    const decided = { flag: 'rank-version', variant: 'v2' };
    expect(reported).toMatchObject([
      { ...decided, subject: 'ana', reason: 'SPLIT', latencyMs: 12, failed: 'timeout', prediction: 0.83, scores: { top: 1 } },
    ]);
    expect(scored).toMatchObject([{ ...decided, name: 'clicked', value: 1 }]);
  });

  it('closes its flags when it is replaced', async () => {
    rig.set({ flags: [splitFlag('model', 0)] });
    const flags = flagsOf();
    await clientOf(flags);
    await OpenFeature.clearProviders();
    expect(flags.status().state).toBe('closed');
  });
});

describe('the provider for pages', () => {
  beforeEach(async () => {
    rig = await openProtocolRig('/ofrep', ({ ports }) => ofrepProtocol(ports));
  });

  it('follows the context and changes', async () => {
    rig.set({ flags: [splitFlag('model', 50_000)] });
    await WebFeature.setContext({ targetingKey: 'user-1' });
    const provider: PageProvider = new UnderstudyWebProvider(openRemoteFlags({ url: rig.origin, key: CLIENT_KEY, context: '' }));
    await WebFeature.setProviderAndWait(provider);
    const client = WebFeature.getClient();
    for (let index = 0; index < 20; index += 1) {
      const targetingKey = `user-${index}`;
      await WebFeature.setContext({ targetingKey });
      expect(client.getStringDetails('model', 'none')).toMatchObject({
        value: rig.evaluate('model', { user: { key: targetingKey } }).value,
        reason: 'SPLIT',
      });
    }
    let changes = 0;
    client.addHandler(PageEvents.ConfigurationChanged, () => void (changes += 1));
    rig.set({ flags: [splitFlag('model', 50_000, { on: false })] });
    await eventually(() => client.getStringDetails('model', 'none').reason === 'DISABLED');
    expect(changes).toBeGreaterThan(0);
    expect(client.getBooleanDetails('model', true)).toMatchObject({ value: true, errorCode: 'TYPE_MISMATCH' });
  }, 30_000);

  it('cannot start while the server is away, and says so', async () => {
    await rig.stop();
    const provider = new UnderstudyWebProvider(openRemoteFlags({ url: rig.origin, key: CLIENT_KEY, context: '' }));
    await expect(WebFeature.setProviderAndWait(provider)).rejects.toThrow('no values came');
  });
});
