/** The parts of LaunchDarkly's server-side SDK protocol that flags are read from and written to. */
import type { JsonValue } from './context.ts';

/** One test of the context. */
export interface LaunchDarklyClause {
  readonly contextKind?: string | undefined;
  readonly attribute?: string | undefined;
  readonly op: string;
  readonly values: readonly JsonValue[];
  readonly negate?: boolean | undefined;
}

/** A percentage rollout. */
export interface LaunchDarklyRollout {
  readonly kind?: string | undefined;
  readonly contextKind?: string | undefined;
  readonly bucketBy?: string | undefined;
  readonly seed?: number | undefined;
  readonly variations?:
    | readonly { readonly variation: number; readonly weight: number; readonly untracked?: boolean | undefined }[]
    | undefined;
}

/** What a rule or the fallthrough gives. */
export interface LaunchDarklyServe {
  readonly variation?: number | undefined;
  readonly rollout?: LaunchDarklyRollout | undefined;
}

/** Subjects that get a variation before any rule. */
export interface LaunchDarklyTarget {
  readonly contextKind?: string | undefined;
  readonly variation: number;
  readonly values?: readonly string[] | undefined;
}

/** A flag as LaunchDarkly sends it to its server-side SDKs. */
export interface LaunchDarklyFlag {
  readonly key: string;
  readonly on: boolean;
  readonly salt?: string | undefined;
  readonly variations: readonly JsonValue[];
  readonly offVariation?: number | undefined;
  readonly prerequisites?: readonly { readonly key: string; readonly variation: number }[] | undefined;
  readonly targets?: readonly LaunchDarklyTarget[] | undefined;
  readonly contextTargets?: readonly LaunchDarklyTarget[] | undefined;
  readonly rules?:
    | readonly (LaunchDarklyServe & {
        readonly id?: string | undefined;
        readonly clauses?: readonly LaunchDarklyClause[] | undefined;
        readonly trackEvents?: boolean | undefined;
      })[]
    | undefined;
  readonly fallthrough?: LaunchDarklyServe | undefined;
  readonly trackEvents?: boolean | undefined;
  readonly trackEventsFallthrough?: boolean | undefined;
  /** Milliseconds since 1970. */
  readonly debugEventsUntilDate?: number | undefined;
  readonly excludeFromSummaries?: boolean | undefined;
  readonly samplingRatio?: number | undefined;
  readonly migration?: { readonly checkRatio?: number | undefined } | undefined;
}

/** A segment as LaunchDarkly sends it. */
export interface LaunchDarklySegment {
  readonly key: string;
  readonly salt?: string | undefined;
  readonly unbounded?: boolean | undefined;
  readonly included?: readonly string[] | undefined;
  readonly excluded?: readonly string[] | undefined;
  readonly includedContexts?: readonly LaunchDarklyKeys[] | undefined;
  readonly excludedContexts?: readonly LaunchDarklyKeys[] | undefined;
  readonly rules?:
    | readonly {
        readonly id?: string | undefined;
        readonly clauses?: readonly LaunchDarklyClause[] | undefined;
        readonly weight?: number | undefined;
        readonly bucketBy?: string | undefined;
        readonly rolloutContextKind?: string | undefined;
      }[]
    | undefined;
}

/** Keys of one kind. */
export interface LaunchDarklyKeys {
  readonly contextKind?: string | undefined;
  readonly values?: readonly string[] | undefined;
}

/** What `GET /sdk/latest-all` answers. */
export interface LaunchDarklyData {
  readonly flags: Readonly<Record<string, LaunchDarklyFlag>>;
  readonly segments?: Readonly<Record<string, LaunchDarklySegment>> | undefined;
}
