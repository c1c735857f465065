import { describe, expect, it } from 'vitest';
import type { Bucketing } from './bucketing-profile.ts';
import type { Flag, Serve, Slice } from './flag.ts';
import { foreignHashes, type LocalFamily } from './local-hash.ts';
import type { Segment } from './segment.ts';

const HALVES: readonly Slice[] = [
  { variant: 'v2', weight: 50_000 },
  { variant: 'v1', weight: 50_000 },
];
const by = (profile: Bucketing['profile'], salt = '61'): Bucketing => ({ profile, salt });

function flagWith(bucketing: Bucketing, slices = HALVES, more: Partial<Flag> = {}): Flag {
  return {
    key: 'f',
    type: 'string',
    on: true,
    variants: ['v1', 'v2'].map((name) => ({ name, value: name })),
    prerequisites: [],
    pins: [],
    rules: [],
    fallthrough: { split: { slices } },
    bucketing,
    ...more,
  };
}

const served: Serve = { variant: 'v2' };
const share = (bucketing: Bucketing, weight = 10_000) => ({ type: 'share', weight, bucketing }) as const;
const segment: Segment = { key: 's', included: [], excluded: [], rules: [{ all: [share(by('unleash-rollout'))] }] };
const plain: Partial<Flag> = { fallthrough: { variant: 'v1' } };

describe('the hashes of a flag that SDKs of a family do not compute', () => {
  it.each<{ name: string; flag: Flag; family: LocalFamily; hashes: readonly string[] }>([
    { name: 'another profile', flag: flagWith(by('unleash')), family: 'launchdarkly', hashes: ['unleash'] },
    { name: 'its own profile', flag: flagWith(by('unleash')), family: 'unleash', hashes: [] },
    { name: 'a seed', flag: flagWith(by('launchdarkly')), family: 'launchdarkly', hashes: [] },
    { name: 'a salt without a place', flag: flagWith(by('launchdarkly', 'x')), family: 'launchdarkly', hashes: ['launchdarkly'] },
    { name: 'a bucket that the caller brings', flag: flagWith(by('attribute')), family: 'flagsmith', hashes: [] },
    {
      name: 'everybody in one slice',
      flag: flagWith(
        by('unleash'),
        [HALVES[0], { variant: 'v1', weight: 0 }].flatMap((slice) => slice ?? []),
      ),
      family: 'launchdarkly',
      hashes: [],
    },
    {
      name: 'one variant in two slices',
      flag: flagWith(
        by('unleash'),
        HALVES.map((one) => ({ ...one, variant: 'v1' })),
      ),
      family: 'launchdarkly',
      hashes: [],
    },
    { name: 'a flag that is off', flag: flagWith(by('unleash'), HALVES, { on: false }), family: 'launchdarkly', hashes: [] },
    { name: 'no split', flag: flagWith(by('unleash'), HALVES, plain), family: 'launchdarkly', hashes: [] },
    {
      name: 'a share in a rule',
      flag: flagWith(by('flagsmith'), HALVES, {
        ...plain,
        rules: [{ all: [{ type: 'any', of: [share(by('flagd'))] }], serve: served }],
      }),
      family: 'unleash',
      hashes: ['flagd'],
    },
    {
      name: 'a share of nobody',
      flag: flagWith(by('flagsmith'), HALVES, { ...plain, rules: [{ all: [share(by('flagd'), 0)], serve: served }] }),
      family: 'unleash',
      hashes: [],
    },
    {
      name: 'a share of a segment',
      flag: flagWith(by('flagsmith'), HALVES, {
        ...plain,
        rules: [{ all: [{ type: 'segment', segments: ['s'] }], serve: served }],
      }),
      family: 'launchdarkly',
      hashes: ['unleash-rollout'],
    },
    {
      name: "a share with Unleash's hash for rollouts",
      flag: flagWith(by('flagsmith'), HALVES, { ...plain, rules: [{ all: [share(by('unleash-rollout'))], serve: served }] }),
      family: 'unleash',
      hashes: [],
    },
    { name: 'a split with that hash', flag: flagWith(by('unleash-rollout')), family: 'unleash', hashes: ['unleash-rollout'] },
  ])('$name', ({ flag, family, hashes }) => {
    expect(foreignHashes(flag, family, [segment])).toEqual(hashes);
  });
});
