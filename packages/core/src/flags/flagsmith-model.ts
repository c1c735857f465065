/** Flagsmith's environment document, and the context that its engine evaluates. Flags are read from and written to them. */
import type { JsonValue } from './context.ts';

/** What a feature is, in an environment, a segment or for one identity. */
export interface FlagsmithFeatureState {
  readonly django_id?: number | null | undefined;
  readonly featurestate_uuid?: string | undefined;
  readonly enabled: boolean;
  readonly feature_state_value: JsonValue;
  readonly feature: { readonly id: number; readonly name: string; readonly type?: string | undefined };
  readonly feature_segment?: { readonly priority: number } | null | undefined;
  readonly multivariate_feature_state_values?:
    | readonly {
        readonly id?: number | null | undefined;
        readonly mv_fs_value_uuid?: string | undefined;
        readonly percentage_allocation: number;
        readonly multivariate_feature_option: { readonly id?: number | null | undefined; readonly value: JsonValue };
      }[]
    | undefined;
}

/** One test of an identity. */
export interface FlagsmithDocumentCondition {
  readonly operator: string;
  readonly property_?: string | null | undefined;
  readonly value?: JsonValue | undefined;
}

/** Conditions and rules below it, joined by the type. */
export interface FlagsmithDocumentRule {
  readonly type: string;
  readonly conditions?: readonly FlagsmithDocumentCondition[] | undefined;
  readonly rules?: readonly FlagsmithDocumentRule[] | undefined;
}

/** What `GET /api/v1/environment-document/` answers. */
export interface FlagsmithEnvironment {
  readonly id: number;
  readonly api_key: string;
  readonly name?: string | undefined;
  readonly updated_at?: string | undefined;
  readonly project: {
    readonly id: number;
    readonly name: string;
    readonly organisation?: { readonly id: number; readonly name: string } | undefined;
    readonly segments: readonly {
      readonly id: number;
      readonly name: string;
      readonly rules: readonly FlagsmithDocumentRule[];
      readonly feature_states?: readonly FlagsmithFeatureState[] | undefined;
    }[];
  };
  readonly feature_states: readonly FlagsmithFeatureState[];
  readonly identity_overrides?:
    | readonly { readonly identifier: string; readonly identity_features: readonly FlagsmithFeatureState[] }[]
    | undefined;
}

/** A feature as the engine sees it, or an override of it. */
export interface FlagsmithFeature {
  /** What multivariate values are hashed with. */
  readonly key: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly value: JsonValue;
  /** The lowest number wins; none is the weakest. */
  readonly priority?: number | undefined;
  readonly variants?:
    | readonly {
        readonly value: JsonValue;
        readonly weight: number;
        readonly priority?: number | undefined;
        readonly key?: string | undefined;
      }[]
    | undefined;
}

/** Conditions and rules below it as the engine sees them. */
export interface FlagsmithRule {
  readonly type: string;
  readonly conditions?:
    | readonly { readonly operator: string; readonly property?: string | undefined; readonly value?: JsonValue | undefined }[]
    | undefined;
  readonly rules?: readonly FlagsmithRule[] | undefined;
}

/** A segment as the engine sees it. */
export interface FlagsmithSegment {
  readonly key: string;
  readonly name: string;
  readonly rules: readonly FlagsmithRule[];
  readonly overrides?: readonly FlagsmithFeature[] | undefined;
}

/** What the engine evaluates, apart from who asks. */
export interface FlagsmithEngineContext {
  readonly environment: { readonly key: string };
  readonly features?: Readonly<Record<string, FlagsmithFeature>> | undefined;
  readonly segments?: Readonly<Record<string, FlagsmithSegment>> | undefined;
  /** Features of single identities; they beat every segment. */
  readonly identities?: readonly { readonly identifier: string; readonly features: readonly FlagsmithFeature[] }[] | undefined;
}
