/** SDKs that were heard of lately, and what to know about those that bucket differently from a flag. The list of SDKs is made of it. */
import type { SdkView } from '@understudy/contract/sdk-endpoints';
import type { FlagDocuments } from '@understudy/core/flags/evaluator';
import { foreignHashes, type LocalFamily } from '@understudy/core/flags/local-hash';
import type { Clock } from '../clock.ts';

/** One SDK, as its protocol tells it. */
export type Sighting = Pick<SdkView, 'family' | 'sdk' | 'application' | 'isLocal'>;

export interface SdkSightings {
  readonly sighted: (sdk: Sighting) => void;
  /** Newest first, each with what to know about it. */
  list(documents: FlagDocuments): SdkView[];
}

type Seen = Omit<SdkView, 'warnings'>;

// More services than an environment has; beyond, those that were silent longest are forgotten.
const MOST_SDKS = 1000;
const MAX_TEXT = 200;
const FLAGS_IN_A_WARNING = 5;

// Every SDK polls, streams or reports more often; one that was silent for longer is not connected.
const CONNECTED_MS = 3_600_000;

/** The families whose SDKs may evaluate by themselves, as people call them. */
const LOCAL_FAMILIES: Readonly<Record<LocalFamily, string>> = {
  unleash: 'Unleash',
  launchdarkly: 'LaunchDarkly',
  flagsmith: 'Flagsmith',
};

export function openSdkSightings(clock: Clock): SdkSightings {
  // In the order in which they were last heard of.
  const seen = new Map<string, Seen>();
  return {
    sighted(sighting) {
      const sdk = sighting.sdk.slice(0, MAX_TEXT);
      const application = sighting.application.slice(0, MAX_TEXT);
      const { family, isLocal } = sighting;
      // One application may do both: only the part of it that buckets by itself is warned about.
      const key = JSON.stringify([family, sdk, application, isLocal]);
      const known = seen.get(key);
      const atMs = clock.nowMs();
      seen.delete(key);
      seen.set(key, { family, sdk, application, isLocal, firstSeenAtMs: known?.firstSeenAtMs ?? atMs, seenAtMs: atMs });
      const [oldest] = seen.keys();
      if (seen.size > MOST_SDKS && oldest !== undefined) seen.delete(oldest);
    },
    list(documents) {
      const nowMs = clock.nowMs();
      return [...seen.values()].toReversed().map((one) => {
        const isConnected = nowMs - one.seenAtMs <= CONNECTED_MS;
        return { ...one, warnings: isConnected ? warningsOf(one, documents) : [] };
      });
    },
  };
}

function warningsOf({ family, sdk, application, isLocal }: Seen, { flags, segments }: FlagDocuments): string[] {
  // Our own SDK computes every hash.
  if (!isLocal || family === 'ofrep' || family === 'understudy') return [];
  const foreign = flags.flatMap((flag) => {
    const profiles = foreignHashes(flag, family, segments);
    return profiles.length === 0 ? [] : [`"${flag.key}" (${profiles.join(', ')})`];
  });
  if (foreign.length === 0) return [];
  const named = foreign.slice(0, FLAGS_IN_A_WARNING).join(', ');
  const more = foreign.length > FLAGS_IN_A_WARNING ? ` and ${foreign.length - FLAGS_IN_A_WARNING} more` : '';
  return [
    `${sdk} in "${application}" buckets users by itself, with ${LOCAL_FAMILIES[family]}'s hash, and cannot compute that of ${named}${more}: the shares are right, but a user may get another variant there than from gateways and other SDKs. Read these flags through one family only, or evaluate them on the server (OpenFeature), or give them the bucketing profile "attribute" (docs/flags.md#bucketing)`,
  ];
}
