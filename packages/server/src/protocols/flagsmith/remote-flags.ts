/** Flags as Flagsmith's API answers them, decided by our evaluator. The Flagsmith protocol depends on it. */
import type { Context } from '@understudy/core/flags/context';
import type { FlagsmithFeatureState } from '@understudy/core/flags/flagsmith-model';
import { flagsmithValue } from '@understudy/core/flags/flagsmith-value';
import type { Environment } from './environment.ts';
import { contextOf, type Identity } from './identity.ts';

/** One flag of an answer. */
interface RemoteFlag {
  readonly enabled: boolean;
  readonly feature_state_value: string | number | boolean | null;
  readonly feature: FlagsmithFeatureState['feature'];
  readonly feature_segment: null;
  readonly reason: string;
  readonly variant: string | null;
}

/** When, and what a flag is given that wants chance. */
interface Moment {
  readonly atMs: number;
  random(): number;
}

// Flagsmith gives the control value to who has no identity, and that is the last slice.
const LAST_POINT = 1 - Number.EPSILON;

/** The answer to `/api/v1/identities/`. */
export function identityAnswer(identity: Identity, environment: Environment, atMs: number): object {
  const { identifier, traits } = identity;
  return {
    identifier: identifier ?? '',
    traits: Array.from(traits, ([name, value]) => ({ trait_key: name, trait_value: value })),
    flags: flagsOf(environment, contextOf(identity, environment), { atMs, random: Math.random }),
  };
}

/** The answer to `/api/v1/flags/`, which is about nobody. */
export function environmentAnswer(environment: Environment, atMs: number): readonly RemoteFlag[] {
  const context = contextOf({ identifier: undefined, traits: new Map() }, environment);
  return flagsOf(environment, context, { atMs, random: () => LAST_POINT });
}

/** Without flags that cannot be evaluated: for them the SDK asks its caller's default. */
function flagsOf({ state, features }: Environment, context: Context, moment: Moment): readonly RemoteFlag[] {
  const flags: RemoteFlag[] = [];
  for (const [key, feature] of features) {
    const { value, variant, isEnabled, reason } = state.evaluator.evaluate(key, context, moment);
    if (reason === 'ERROR') continue;
    flags.push({
      enabled: isEnabled,
      feature_state_value: flagsmithValue(value),
      feature,
      feature_segment: null,
      reason,
      variant: variant ?? null,
    });
  }
  return flags;
}
