// Snapshots that are wrong in every way somebody could think of (F23): none is taken, none stops the gateway, the present one serves on.
import fc from 'fast-check';
import { GATEWAY_FEED_FORMAT } from '@understudy/contract/gateway-feed';
import type { Snapshot } from '@understudy/core/snapshot';
import { expect, it } from 'vitest';
import { modelOf, onnxVersion, openRig, snapshotOf } from '../../packages/server/src/gateway/gateway-rig.contract.ts';
import { readGatewayDocument } from '../../packages/server/src/remote/gateway-document.ts';

const RUNS = 2000;
const GOOD: Snapshot = snapshotOf(5, [
  modelOf({
    versions: [onnxVersion('v1'), onnxVersion('v2')],
    rollout: { id: 'sum-1', challenger: 'v2', step: 0, boundary: 50_000, salt: 's', lease: { ms: 120_000, boundary: 0 } },
  }),
]);
const KEY = Buffer.alloc(32, 9).toString('base64url');
const documentOf = (snapshot: unknown): string => JSON.stringify({ format: GATEWAY_FEED_FORMAT, snapshot, requestIdKey: KEY });

const POISON: readonly { readonly name: string; readonly body: string }[] = [
  { name: 'nothing', body: '' },
  { name: 'null', body: 'null' },
  { name: 'an empty object', body: '{}' },
  { name: 'a snapshot of nothing', body: documentOf({}) },
  { name: 'null for a snapshot', body: documentOf(null) },
  { name: 'half of a document', body: documentOf(GOOD).slice(0, 300) },
  { name: 'another format', body: JSON.stringify({ format: 2, snapshot: GOOD, requestIdKey: KEY }) },
  { name: 'an unknown schema', body: documentOf({ ...GOOD, schema: 2 }) },
  { name: 'no key', body: JSON.stringify({ format: 1, snapshot: GOOD }) },
  { name: 'a blank revision', body: documentOf({ ...GOOD, revision: null }) },
  { name: 'a revision before', body: documentOf({ ...GOOD, revision: 4 }) },
  { name: 'another environment', body: documentOf({ ...GOOD, environment: 'staging' }) },
  { name: 'a model twice', body: documentOf({ ...GOOD, models: [...GOOD.models, ...GOOD.models] }) },
  { name: 'a champion that is not there', body: documentOf({ ...GOOD, models: [modelOf({ champion: 'v9' })] }) },
  { name: 'more than everybody', body: documentOf(GOOD).replace('"boundary":50000', '"boundary":101000') },
  { name: 'less than nobody', body: documentOf(GOOD).replace('"boundary":50000', '"boundary":-1') },
  { name: 'no time to answer', body: documentOf(GOOD).replace(/"deadlineMs":\d+/, '"deadlineMs":0') },
  { name: 'a blank name', body: documentOf(GOOD).replace('"name":"sum"', '"name":""') },
  { name: 'a prototype', body: documentOf(GOOD).replace('"name":"sum"', '"__proto__":{"name":"sum"}') },
  { name: 'a very deep one', body: `${'['.repeat(100_000)}${']'.repeat(100_000)}` },
];

it.each(POISON)('refuses $name, says so, and serves on', async ({ body }) => {
  await using rig = await openRig({ snapshot: GOOD });
  const before = await rig.post('/predict/sum', { features: [1, 2, 3] });
  const reading = readGatewayDocument(body);
  if (typeof reading === 'string') rig.refuse(reading);
  else expect(rig.apply(reading.snapshot)).toBeTypeOf('string');
  expect(rig.gateway.standing()?.refused?.reason).toMatch(/\w/);
  expect(rig.gateway.stats()).toMatchObject({ revision: 5, refusedSnapshots: 1 });
  const after = await rig.post('/predict/sum', { features: [1, 2, 3] });
  const told = ({ status, headers }: typeof before) => [
    status,
    headers['x-understudy-version'],
    headers['x-understudy-revision'],
  ];
  expect(told(after)).toEqual(told(before));
  rig.apply({ ...GOOD, revision: 6 });
  expect(rig.gateway.standing()?.refused).toBeUndefined();
});

/** The document with one value somewhere in it replaced, dropped or doubled. */
function poisoned(value: unknown, path: readonly number[], poison: unknown): unknown {
  const [head = 0, ...rest] = path;
  if (Array.isArray(value)) {
    if (value.length === 0 || rest.length === 0) return poison;
    const index = head % value.length;
    return value.map((item, at) => (at === index ? poisoned(item, rest, poison) : item));
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    if (entries.length === 0 || rest.length === 0) return poison;
    const index = head % entries.length;
    return Object.fromEntries(entries.map(([key, item], at) => [key, at === index ? poisoned(item, rest, poison) : item]));
  }
  return poison;
}

it(`never throws and never stops serving, ${RUNS} times`, async () => {
  await using rig = await openRig({ snapshot: GOOD });
  const poison = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      undefined,
      '',
      0,
      -1,
      1e308,
      [],
      {},
      true,
      '\u0000',
      'x'.repeat(1000),
      Number.MAX_SAFE_INTEGER,
    ),
    fc.string(),
    fc.double(),
    fc.jsonValue(),
  );
  let taken = 0;
  let revision = 5;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(20), { minLength: 1, maxLength: 8 }), poison, async (path, value) => {
      const reading = readGatewayDocument(
        JSON.stringify(poisoned(JSON.parse(documentOf({ ...GOOD, revision })), path, value)) ?? '',
      );
      const refusal = typeof reading === 'string' ? reading : rig.apply(reading.snapshot);
      if (refusal === undefined) {
        // What was taken is a whole snapshot: only what nobody needs has changed, or a value into another good one.
        taken += 1;
        revision = rig.gateway.stats().revision;
        rig.apply({ ...GOOD, revision });
      }
      const answer = await rig.post('/predict/sum', { features: [1, 2, 3] });
      expect(answer.status).toBe(200);
    }),
    { numRuns: RUNS, seed: 23 },
  );
  expect(taken).toBeLessThan(RUNS / 2);
}, 60_000);
