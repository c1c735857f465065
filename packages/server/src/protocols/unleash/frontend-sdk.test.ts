// Unleash's SDK for browsers, unmodified, on a real port.
import type { Flag } from '@understudy/core/flags/flag';
import { UnleashClient, type IConfig } from 'unleash-proxy-client';
import { expect, it, onTestFinished } from 'vitest';
import { splitFlag } from '../test-world.ts';
import { CLIENT_KEY, IDS, next, openWorld, serve, type Served, startSdk } from './test-sdks.ts';

function startFrontendSdk({ api }: Served, config: Partial<IConfig> = {}): UnleashClient {
  const sdk = new UnleashClient({
    url: `${api}/frontend`,
    clientKey: CLIENT_KEY,
    appName: 'shop',
    disableMetrics: true,
    ...config,
  });
  onTestFinished(() => sdk.stop());
  return sdk;
}

const TARGETED: Flag = splitFlag('ml', 50_000, {
  rules: [
    { all: [{ type: 'attribute', attribute: 'region', operator: 'in', values: ['eu', 'us'] }], serve: { variant: 'v2' } },
    { all: [{ type: 'attribute', attribute: 'age', operator: 'greater-than', values: [17] }], serve: { variant: 'v1' } },
  ],
});
const CHILD: Flag = splitFlag('ml-v2', 0, {
  type: 'boolean',
  offVariant: 'off',
  variants: [
    { name: 'on', value: true },
    { name: 'off', value: false },
  ],
  prerequisites: [{ flag: 'ml', variants: ['v2'] }],
  fallthrough: { variant: 'on' },
});

it.each([{ usePOSTrequests: false }, { usePOSTrequests: true }])(
  'agrees with the SDK on a server and with our evaluator (by POST: $usePOSTrequests)',
  async ({ usePOSTrequests }) => {
    const world = openWorld();
    world.set({ flags: [TARGETED, CHILD, splitFlag('off', 0, { on: false })] });
    const served = await serve(world);
    const server = startSdk(served);
    const ready = next(server, 'synchronized');
    const frontend = startFrontendSdk(served, { usePOSTrequests, refreshInterval: 3600 });
    await frontend.start();
    await ready;
    const contexts = IDS.slice(0, 100).map((userId, index) => {
      const properties = index % 4 === 0 ? { region: 'eu' } : index % 4 === 1 ? { age: String(index) } : undefined;
      return { userId, ...(properties === undefined ? {} : { properties }) };
    });
    for (const context of contexts) {
      await frontend.updateContext(context);
      for (const flag of ['ml', 'ml-v2', 'off', 'absent']) {
        expect(frontend.isEnabled(flag), JSON.stringify(context)).toBe(server.isEnabled(flag, context));
        const { name, payload } = server.getVariant(flag, context);
        expect(frontend.getVariant(flag), JSON.stringify(context)).toMatchObject({
          name,
          ...(payload === undefined ? {} : { payload }),
        });
      }
      const attributes = { key: context.userId, ...context.properties, age: Number(context.properties?.age) };
      const evaluated = world.ports.world.now()?.evaluator.evaluate('ml', { user: attributes }, { atMs: 0, random: () => 0 });
      expect(frontend.getVariant('ml').name).toBe(evaluated?.variant);
    }
    const sighting = { family: 'unleash', sdk: 'unleash-js-sdk:3.8.2', application: 'shop', isLocal: false };
    expect(world.sightings).toContainEqual(sighting);
  },
);

it('follows changes, and gets 304 when there are none', async () => {
  const world = openWorld();
  world.set({ flags: [splitFlag('ml', 0)] });
  const served = await serve(world);
  const statuses: number[] = [];
  const counting: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    statuses.push(response.status);
    return response;
  };
  const sdk = startFrontendSdk(served, { context: { userId: 'a' }, refreshInterval: 3600, fetch: counting });
  await sdk.start();
  expect(sdk.getVariant('ml').name).toBe('v1');
  await sdk.updateToggles();
  world.set({ flags: [splitFlag('ml', 100_000)] });
  await sdk.updateToggles();
  expect(sdk.getVariant('ml').name).toBe('v2');
  expect(statuses).toEqual([200, 304, 200]);
});

it('is healthy again after a server that was starting', async () => {
  const world = openWorld();
  const served = await serve(world);
  const sdk = startFrontendSdk(served, { context: { userId: 'a' }, refreshInterval: 0.05 });
  const failed = next(sdk, 'error');
  await sdk.start();
  expect(await failed).toEqual([{ type: 'HttpError', code: 503 }]);
  const ready = next(sdk, 'ready');
  world.set({ flags: [splitFlag('ml', 100_000)] });
  await ready;
  expect(sdk.getVariant('ml').name).toBe('v2');
});

it('reports metrics, which count as evidence only when browsers are believed', async () => {
  for (const believesBrowsers of [false, true]) {
    const world = openWorld();
    world.set({ flags: [splitFlag('ml', 100_000)] });
    const served = await serve(world, { believesBrowsers });
    const sdk = startFrontendSdk(served, { context: { userId: 'a' }, disableMetrics: false, refreshInterval: 3600 });
    await sdk.start();
    sdk.getVariant('ml');
    const sent = next(sdk, 'sent');
    await sdk.sendMetrics();
    await sent;
    expect(world.outcomes.map(({ variant, exposures }) => ({ variant, exposures }))).toEqual(
      believesBrowsers ? [{ variant: 'v2', exposures: 1 }] : [],
    );
  }
});
