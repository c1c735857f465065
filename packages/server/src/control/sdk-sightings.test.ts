import type { Flag } from '@understudy/core/flags/flag';
import { describe, expect, it } from 'vitest';
import { openSdkSightings, type Sighting } from './sdk-sightings.ts';

const SDK: Sighting = { family: 'launchdarkly', sdk: 'NodeJSClient/9', application: 'shop', isLocal: true };

function flagWith(profile: Flag['bucketing']['profile'], isSplit = true): Flag {
  const slices = [
    { variant: 'on', weight: 10_000 },
    { variant: 'off', weight: 90_000 },
  ];
  return {
    key: 'checkout',
    type: 'boolean',
    on: true,
    variants: [],
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: isSplit ? { split: { slices } } : { variant: 'on' },
    bucketing: { profile, salt: 's' },
  };
}

describe('SDKs that were heard of', () => {
  it.each([
    { name: 'warns of another hash', sdk: SDK, flag: flagWith('unleash'), warns: true },
    { name: 'is quiet about its own hash', sdk: SDK, flag: flagWith('launchdarkly'), warns: false },
    { name: 'is quiet about a bucket that the caller brings', sdk: SDK, flag: flagWith('attribute'), warns: false },
    { name: 'is quiet about a flag without a split', sdk: SDK, flag: flagWith('unleash', false), warns: false },
    { name: 'is quiet when the server evaluates', sdk: { ...SDK, isLocal: false }, flag: flagWith('unleash'), warns: false },
  ])('$name', ({ sdk, flag, warns }) => {
    const sightings = openSdkSightings({ nowMs: () => 5 });
    sightings.sighted(sdk);
    const [view] = sightings.list([flag]);
    expect(view).toMatchObject({ ...sdk, firstSeenAtMs: 5, seenAtMs: 5 });
    expect(view?.warnings.map((warning) => warning.includes('"checkout"'))).toEqual(warns ? [true] : []);
  });

  it('are listed once, newest first, and the oldest is forgotten beyond a thousand', () => {
    let atMs = 0;
    const sightings = openSdkSightings({ nowMs: () => (atMs += 1) });
    sightings.sighted(SDK);
    for (let index = 0; index < 1000; index += 1) sightings.sighted({ ...SDK, application: `app-${index}` });
    sightings.sighted({ ...SDK, application: 'app-1' });
    const listed = sightings.list([]);
    expect(listed).toHaveLength(1000);
    expect(listed[0]).toMatchObject({ application: 'app-1', firstSeenAtMs: 3, seenAtMs: 1002 });
    expect(listed.some(({ application }) => application === 'shop')).toBe(false);
  });

  it('are told apart when one application decides by itself and also asks the server', () => {
    const sightings = openSdkSightings({ nowMs: () => 5 });
    for (const isLocal of [true, false]) sightings.sighted({ ...SDK, isLocal });
    const warned = sightings.list([flagWith('unleash')]).map(({ isLocal, warnings }) => [isLocal, warnings.length]);
    expect(warned).toEqual([
      [false, 0],
      [true, 1],
    ]);
  });
});
