import type { Flag } from '@understudy/core/flags/flag';
import { describe, expect, it } from 'vitest';
import { openSdkSightings, type Sighting } from './sdk-sightings.ts';

const SDK: Sighting = { family: 'launchdarkly', sdk: 'NodeJSClient/9', application: 'shop', isLocal: true };

function flagWith(profile: Flag['bucketing']['profile'], key = 'checkout'): Flag {
  const slices = [
    { variant: 'on', weight: 10_000 },
    { variant: 'off', weight: 90_000 },
  ];
  return {
    key,
    type: 'boolean',
    on: true,
    variants: [],
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: { split: { slices } },
    bucketing: { profile, salt: '61' },
  };
}

const HOUR_MS = 3_600_000;

describe('SDKs that were heard of', () => {
  it.each([
    { name: 'warns of another hash', sdk: SDK, flag: flagWith('unleash'), laterMs: HOUR_MS, warns: true },
    { name: 'is quiet about its own hash', sdk: SDK, flag: flagWith('launchdarkly'), laterMs: 0, warns: false },
    { name: 'is quiet about an SDK that is gone', sdk: SDK, flag: flagWith('unleash'), laterMs: HOUR_MS + 1, warns: false },
    {
      name: 'is quiet when the server evaluates',
      sdk: { ...SDK, isLocal: false },
      flag: flagWith('unleash'),
      laterMs: 0,
      warns: false,
    },
    {
      name: 'is quiet about OpenFeature',
      sdk: { ...SDK, family: 'ofrep' } as const,
      flag: flagWith('unleash'),
      laterMs: 0,
      warns: false,
    },
  ])('$name', ({ sdk, flag, laterMs, warns }) => {
    let atMs = 5;
    const sightings = openSdkSightings({ nowMs: () => atMs });
    sightings.sighted(sdk);
    atMs += laterMs;
    const [view] = sightings.list({ flags: [flag], segments: [] });
    expect(view).toMatchObject({ ...sdk, firstSeenAtMs: 5, seenAtMs: 5 });
    expect(view?.warnings).toHaveLength(warns ? 1 : 0);
  });

  it('are told apart by whether they evaluate themselves, and warned about with the flag, the SDK and what to do', () => {
    const sightings = openSdkSightings({ nowMs: () => 5 });
    sightings.sighted(SDK);
    sightings.sighted({ ...SDK, isLocal: false });
    const flags = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((key) => flagWith('unleash', key));
    const [remote, local] = sightings.list({ flags, segments: [] });
    expect(remote?.warnings).toEqual([]);
    for (const word of [
      'NodeJSClient/9 in "shop"',
      "LaunchDarkly's hash",
      '"a" (unleash)',
      'and 2 more',
      'profile "attribute"',
    ]) {
      expect(local?.warnings[0]).toContain(word);
    }
  });

  it('are listed once, newest first, and the oldest is forgotten beyond a thousand', () => {
    let atMs = 0;
    const sightings = openSdkSightings({ nowMs: () => (atMs += 1) });
    sightings.sighted(SDK);
    for (let index = 0; index < 1000; index += 1) sightings.sighted({ ...SDK, application: `app-${index}` });
    sightings.sighted({ ...SDK, application: 'app-1' });
    const listed = sightings.list({ flags: [], segments: [] });
    expect(listed).toHaveLength(1000);
    expect(listed[0]).toMatchObject({ application: 'app-1', firstSeenAtMs: 3, seenAtMs: 1002 });
    expect(listed.some(({ application }) => application === 'shop')).toBe(false);
  });
});
