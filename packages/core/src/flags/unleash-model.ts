/** The parts of Unleash's client API that flags are read from and written to. */
import type { JsonValue } from './context.ts';

/** One test of the context. */
export interface UnleashConstraint {
  readonly contextName: string;
  readonly operator: string;
  readonly values?: readonly string[] | undefined;
  readonly value?: string | undefined;
  readonly inverted?: boolean | undefined;
  readonly caseInsensitive?: boolean | undefined;
}

/** A share of the users a strategy or a feature is on for. */
export interface UnleashVariant {
  readonly name: string;
  readonly weight: number;
  readonly stickiness?: string | undefined;
  readonly payload?: { readonly type: string; readonly value: string } | undefined;
  readonly overrides?: readonly { readonly contextName: string; readonly values: readonly string[] }[] | undefined;
}

/** One way for a feature to be on. */
export interface UnleashStrategy {
  readonly name: string;
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  readonly constraints?: readonly UnleashConstraint[] | undefined;
  readonly segments?: readonly number[] | undefined;
  readonly variants?: readonly UnleashVariant[] | undefined;
}

/** A flag as Unleash sends it to its SDKs. */
export interface UnleashFeature {
  readonly name: string;
  readonly description?: string | undefined;
  readonly enabled: boolean;
  readonly impressionData?: boolean | undefined;
  readonly strategies?: readonly UnleashStrategy[] | undefined;
  readonly variants?: readonly UnleashVariant[] | undefined;
  readonly dependencies?:
    | readonly {
        readonly feature: string;
        readonly enabled?: boolean | undefined;
        readonly variants?: readonly string[] | undefined;
      }[]
    | undefined;
}

/** Constraints that strategies share. */
export interface UnleashSegment {
  readonly id: number;
  readonly name?: string | undefined;
  readonly constraints: readonly UnleashConstraint[];
}

/** What `GET /api/client/features` answers. */
export interface UnleashState {
  readonly features: readonly UnleashFeature[];
  readonly segments?: readonly UnleashSegment[] | undefined;
}

/** A value as SDKs get it: text with a type. */
export function unleashPayload(value: JsonValue): { readonly type: 'string' | 'number' | 'json'; readonly value: string } {
  if (typeof value === 'string') return { type: 'string', value };
  return { type: typeof value === 'number' ? 'number' : 'json', value: JSON.stringify(value) };
}
