// How a client of each family listens, and how it knows from what it hears whether the flag is on.
import { setTimeout as sleep } from 'node:timers/promises';
import { openEventStream, type EventStream, type StreamPlace } from './event-stream.ts';
import { fetchText } from './fetching.ts';
import type { ClientsRequest, Family } from './messages.ts';

/** What a client tells. */
export interface Witness {
  readonly saw: (isOn: boolean) => void;
  readonly problem: (text: string) => void;
}

export type Place = Pick<ClientsRequest, 'origin' | 'flag'> & { readonly key: string };

/** The variant that the flag gives while it is on, to those who are pinned to it and a share of all others. */
export const ON_VARIANT = 'v2';
/** A user who is pinned to it. */
export const PINNED_USER = 'pinned';

// What the web provider of OpenFeature waits for more changes before it asks.
const OFREP_COALESCING_MS = 50;

export const OPEN_CLIENT: Readonly<Record<Family, (place: Place, witness: Witness) => EventStream>> = {
  unleash({ origin, flag, key }, witness) {
    const headers = { authorization: key, 'unleash-appname': 'bench', 'unleash-sdk': 'unleash-node-sdk:6.12.1' };
    return openEventStream({
      place: () => ({ url: `${origin}/unleash/api/client/streaming`, headers }),
      problem: witness.problem,
      heard({ data }) {
        for (const event of parsed<{ events: UnleashEvent[] }>(data).events) {
          const features = event.type === 'hydration' ? event.features : event.feature === undefined ? [] : [event.feature];
          const feature = features?.find(({ name }) => name === flag);
          if (feature !== undefined) witness.saw(JSON.stringify(feature.strategies).includes(`"${ON_VARIANT}"`));
        }
      },
    });
  },

  launchdarkly({ origin, flag, key }, witness) {
    return openEventStream({
      place: () => ({ url: `${origin}/launchdarkly/all`, headers: { authorization: key, 'user-agent': 'NodeJSClient/9.13.7' } }),
      problem: witness.problem,
      heard({ name, data }) {
        if (name === 'put') {
          const all = parsed<{ data: { flags: Record<string, { on: boolean }> } }>(data).data.flags;
          const found = all[flag];
          if (found !== undefined) witness.saw(found.on);
        } else if (name === 'patch') {
          const patch = parsed<{ path: string; data: { on: boolean } }>(data);
          if (patch.path === `/flags/${flag}`) witness.saw(patch.data.on);
        }
      },
    });
  },

  flagsmith({ origin, flag, key }, witness) {
    const question = { url: `${origin}/flagsmith/api/v1/environment-document/`, headers: { 'x-environment-key': key } };
    const refetch = onlyNewest(witness, async () => {
      const document = parsed<{ feature_states: { enabled: boolean; feature: { name: string } }[] }>(await fetchText(question));
      return document.feature_states.find(({ feature }) => feature.name === flag)?.enabled;
    });
    return openEventStream({
      place: () => ({ url: `${origin}/flagsmith/sse/environments/${key}/stream`, headers: {} }),
      problem: witness.problem,
      heard: refetch,
    });
  },

  ofrep({ origin, flag, key }, witness) {
    const question = {
      url: `${origin}/ofrep/v1/evaluate/flags`,
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ context: { targetingKey: PINNED_USER } }),
    };
    let stream: StreamPlace | undefined;
    const ask = async (): Promise<boolean | undefined> => {
      const answer = parsed<OfrepAnswer>(await fetchText(question));
      const address = answer.eventStreams[0]?.endpoint.requestUri;
      if (address !== undefined) stream = { url: origin + address, headers: {} };
      return answer.flags.find((each) => each.key === flag)?.variant === ON_VARIANT;
    };
    const refetch = onlyNewest(witness, ask);
    return openEventStream({
      async place() {
        if (stream === undefined) await ask();
        return stream ?? { url: `${origin}/ofrep/v1/events`, headers: {} };
      },
      problem: witness.problem,
      // Nobody tells a page that came back in time that nothing has changed; here it asks, so that the storm has its weight.
      opened: refetch,
      heard: () => void sleep(OFREP_COALESCING_MS).then(refetch),
    });
  },
};

interface UnleashEvent {
  readonly type: string;
  readonly features?: readonly UnleashFeature[];
  readonly feature?: UnleashFeature;
}

interface UnleashFeature {
  readonly name: string;
  readonly strategies: readonly unknown[];
}

interface OfrepAnswer {
  readonly flags: readonly { readonly key: string; readonly variant?: string }[];
  readonly eventStreams: readonly { readonly endpoint: { readonly requestUri: string } }[];
}

/** Fetches again when something has changed while it fetched. What is fetched during a restart may fail; the stream's return repeats it. */
function onlyNewest(witness: Witness, ask: () => Promise<boolean | undefined>): () => void {
  let isAsking = false;
  let isStale = false;
  const run = async (): Promise<void> => {
    isAsking = true;
    do {
      isStale = false;
      const isOn = await ask();
      if (isOn !== undefined && !isStale) witness.saw(isOn);
    } while (isStale);
  };
  return () => {
    isStale = true;
    if (isAsking) return;
    run()
      .catch((error: unknown) => {
        if (!isAway(error)) witness.problem(`fetch: ${String(error)}`);
      })
      .finally(() => (isAsking = false));
  };
}

function isAway(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET');
}

function parsed<T>(text: string): T {
  return JSON.parse(text) as T;
}
