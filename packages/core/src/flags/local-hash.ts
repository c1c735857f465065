/** Which hashes of a flag the SDKs of a family do not compute, so that a user may get another variant there. The list of SDKs warns by it. */
import { BUCKET_COUNT } from '../bucketing.ts';
import type { Bucketing, Profile } from './bucketing-profile.ts';
import type { Condition, ShareCondition } from './condition.ts';
import type { Flag, Serve, Split } from './flag.ts';
import { isHashedWith, launchDarklySalt } from './launchdarkly-hash.ts';
import type { Segment } from './segment.ts';

/** SDKs that evaluate by themselves. */
export type LocalFamily = 'unleash' | 'launchdarkly' | 'flagsmith';

// Buckets that callers bring are compared with ranges, which every family can.
const OF_SPLITS: Readonly<Record<LocalFamily, readonly Profile[]>> = {
  unleash: ['unleash', 'attribute'],
  launchdarkly: ['launchdarkly', 'attribute'],
  flagsmith: ['flagsmith', 'attribute'],
};
const OF_SHARES: Readonly<Record<LocalFamily, readonly Profile[]>> = {
  unleash: ['unleash-rollout'],
  launchdarkly: ['launchdarkly'],
  flagsmith: ['flagsmith'],
};

/** Each profile once; none for a flag that divides nobody by a bucket at the moment. */
export function foreignHashes(flag: Flag, family: LocalFamily, segments: readonly Segment[]): readonly Profile[] {
  if (!flag.on) return [];
  const splits = [flag.fallthrough, ...flag.rules.map(({ serve }) => serve)].filter(isDivided);
  const foreign = [
    ...splits.map(({ split }) => split.bucketing ?? flag.bucketing).filter((one) => !isOwnSplit(one, flag, family)),
    ...sharesOf(flag, segments)
      .map(({ bucketing }) => bucketing)
      .filter(({ profile }) => !OF_SHARES[family].includes(profile)),
  ];
  return [...new Set(foreign.map(({ profile }) => profile))];
}

function isOwnSplit(bucketing: Bucketing, flag: Flag, family: LocalFamily): boolean {
  if (!OF_SPLITS[family].includes(bucketing.profile)) return false;
  if (bucketing.profile !== 'launchdarkly') return true;
  return isHashedWith(bucketing, { key: flag.key, salt: launchDarklySalt(flag) });
}

/** Whether it matters where in a split somebody is. */
function isDivided(serve: Serve): serve is { readonly split: Split } {
  if (!('split' in serve)) return false;
  const taken = serve.split.slices.filter(({ weight }) => weight > 0);
  return new Set(taken.map(({ variant }) => variant)).size > 1;
}

/** The shares that a flag's rules ask for, themselves or through segments, and that neither everybody nor nobody is in. */
function sharesOf({ rules }: Flag, segments: readonly Segment[]): readonly ShareCondition[] {
  const seen = new Set<string>();
  const inside = (condition: Condition): readonly ShareCondition[] => {
    switch (condition.type) {
      case 'share': {
        const { weight, total = BUCKET_COUNT } = condition;
        return weight > 0 && weight < total ? [condition] : [];
      }
      case 'segment':
        return segments.filter(({ key }) => condition.segments.includes(key)).flatMap(ofSegment);
      case 'all':
      case 'any':
      case 'none':
        return condition.of.flatMap(inside);
      case 'attribute':
      case 'time':
        return [];
    }
  };
  const ofSegment = (segment: Segment): readonly ShareCondition[] => {
    if (seen.has(segment.key)) return [];
    seen.add(segment.key);
    return segment.rules.flatMap(({ all }) => all.flatMap(inside));
  };
  return rules.flatMap(({ all }) => all.flatMap(inside));
}
