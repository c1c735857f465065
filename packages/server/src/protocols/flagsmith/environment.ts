/** A state of the flags as a Flagsmith environment: rendered once, written as JSON once. The Flagsmith protocol depends on it. */
import type { Flag } from '@understudy/core/flags/flag';
import type { FlagsmithFeatureState } from '@understudy/core/flags/flagsmith-model';
import { instantText } from '@understudy/core/flags/instant';
import { renderFlagsmith } from '@understudy/core/flags/render-flagsmith';
import type { FlagState, ProtocolPorts } from '../flag-world.ts';

export interface Environment {
  readonly state: FlagState;
  /** Part of every hash of an SDK that evaluates locally, and what its event stream is called. */
  readonly key: string;
  readonly name: string;
  /** Unix time; later for every later state, as SDKs compare it. */
  readonly updatedAtMs: number;
  /** By the key of the flag. */
  readonly features: ReadonlyMap<string, FlagsmithFeatureState['feature']>;
  /** The answer to `GET /api/v1/environment-document/`. */
  document(): Buffer;
}

// 132 bits.
const KEY_CHARACTERS = 22;

export interface Environments {
  /** The same environment for the same state. */
  of(state: FlagState): Environment;
}

export function followEnvironment({ clock, log, secretFor }: Pick<ProtocolPorts, 'clock' | 'log' | 'secretFor'>): Environments {
  let current: Environment | undefined;
  return {
    of(state) {
      if (current?.state === state) return current;
      const nowMs = clock.nowMs();
      const updatedAtMs = Math.max(Math.ceil(nowMs), (current?.updatedAtMs ?? 0) + 1);
      const next = environmentOf(state, { key: keyOf(state, secretFor), updatedAtMs, nowMs, log });
      if (current !== undefined && current.key !== next.key) {
        log.warn({ before: current.key, after: next.key }, 'flagsmith.environment_key_changed');
      }
      current = next;
      return next;
    },
  };
}

interface View extends Pick<ProtocolPorts, 'log'> {
  readonly key: string;
  readonly updatedAtMs: number;
  readonly nowMs: number;
}

function environmentOf(state: FlagState, { key, updatedAtMs, nowMs, log }: View): Environment {
  const name = state.environment;
  const { data, losses } = renderFlagsmith(state.documents, { atMs: nowMs, environment: { key, name } });
  let document: Buffer | undefined;
  return {
    state,
    key,
    name,
    updatedAtMs,
    features: new Map(data.feature_states.map(({ feature }) => [feature.name, feature])),
    document() {
      if (document === undefined) {
        if (losses.length > 0) log.info({ revision: state.revision, losses }, 'flagsmith.document_differs');
        document = Buffer.from(JSON.stringify({ ...data, updated_at: instantText(updatedAtMs) }));
      }
      return document;
    },
  };
}

/**
 * Flags that came from Flagsmith are hashed with their environment's key, which therefore stays the key of all. Otherwise it
 * is one that nobody guesses, since it opens the event stream, and that every process finds again.
 */
function keyOf({ environment, documents }: FlagState, secretFor: ProtocolPorts['secretFor']): string {
  const prefixes = Map.groupBy(documents.flags.flatMap(prefixOf), (prefix) => prefix);
  const [most] = [...prefixes].toSorted(([, a], [, b]) => b.length - a.length);
  if (most !== undefined) return most[0];
  return Buffer.from(secretFor(`flagsmith environment ${environment}`))
    .toString('base64url')
    .slice(0, KEY_CHARACTERS);
}

function prefixOf({ fallthrough, bucketing }: Flag): readonly string[] {
  const { profile, prefix } = ('split' in fallthrough ? fallthrough.split.bucketing : undefined) ?? bucketing;
  const key = prefix?.endsWith('_') === true ? prefix.slice(0, -1) : '';
  return profile === 'flagsmith' && key !== '' ? [key] : [];
}
