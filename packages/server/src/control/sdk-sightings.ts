/** SDKs that were heard of lately, and what to know about those that bucket differently from a flag. The list of SDKs is made of it. */
import type { SdkView } from '@understudy/contract/sdk-endpoints';
import { PROFILES, type Profile } from '@understudy/core/flags/bucketing-profile';
import type { Flag, Serve } from '@understudy/core/flags/flag';
import type { Clock } from '../clock.ts';

/** One SDK, as its protocol tells it. */
export type Sighting = Pick<SdkView, 'family' | 'sdk' | 'application' | 'isLocal'>;

export interface SdkSightings {
  sighted(sdk: Sighting): void;
  /** Newest first, each with what to know about it. */
  list(flags: readonly Flag[]): SdkView[];
}

type Seen = Omit<SdkView, 'warnings'>;

// More services than an environment has; beyond, those that were silent longest are forgotten.
const MOST_SDKS = 1000;
const MAX_TEXT = 200;
const FLAGS_IN_A_WARNING = 5;

/** Hashes that SDKs of a family compute by themselves. Those of `attribute` every system can express as ranges. */
const OWN_PROFILES: Readonly<Record<Sighting['family'], readonly Profile[]>> = {
  unleash: ['unleash', 'unleash-rollout', 'attribute'],
  launchdarkly: ['launchdarkly', 'attribute'],
  flagsmith: ['flagsmith', 'attribute'],
  ofrep: [],
  understudy: PROFILES,
};

export function openSdkSightings(clock: Clock): SdkSightings {
  // In the order in which they were last heard of.
  const seen = new Map<string, Seen>();
  return {
    sighted(sighting) {
      const sdk = sighting.sdk.slice(0, MAX_TEXT);
      const application = sighting.application.slice(0, MAX_TEXT);
      const { family, isLocal } = sighting;
      const key = JSON.stringify([family, sdk, application]);
      const known = seen.get(key);
      const atMs = clock.nowMs();
      seen.delete(key);
      seen.set(key, { family, sdk, application, isLocal, firstSeenAtMs: known?.firstSeenAtMs ?? atMs, seenAtMs: atMs });
      const [oldest] = seen.keys();
      if (seen.size > MOST_SDKS && oldest !== undefined) seen.delete(oldest);
    },
    list: (flags) => [...seen.values()].toReversed().map((one) => ({ ...one, warnings: warningsOf(one, flags) })),
  };
}

function warningsOf({ family, isLocal }: Seen, flags: readonly Flag[]): string[] {
  if (!isLocal) return [];
  const foreign = flags.filter((flag) => profilesOf(flag).some((profile) => !OWN_PROFILES[family].includes(profile)));
  if (foreign.length === 0) return [];
  const named = foreign.slice(0, FLAGS_IN_A_WARNING).map(({ key }) => `"${key}"`);
  const more = foreign.length > named.length ? ` and ${foreign.length - named.length} more` : '';
  return [
    `it buckets users by itself, with another hash than the split of ${named.join(', ')}${more} has: a user may get another variant there than from gateways and other SDKs. Use one family for these flags, evaluate them on the server, or bucket them by an attribute (profile "attribute")`,
  ];
}

/** The hashes that a flag's splits use. */
function profilesOf(flag: Flag): readonly Profile[] {
  const serves: readonly Serve[] = [...flag.rules.map(({ serve }) => serve), flag.fallthrough];
  return serves.flatMap((serve) => {
    if (!('split' in serve) || serve.split.slices.length < 2) return [];
    return [(serve.split.bucketing ?? flag.bucketing).profile];
  });
}
