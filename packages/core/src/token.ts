/** Access tokens: what they allow. Control plane and gateway depend on it. */

/**
 * What a token may do. `flags-client`: read evaluated flags, as browsers do. `flags`: read all rules of flags, as SDKs on
 * servers do. `predict`: send predictions. `feedback`: report outcomes. `read`: see everything but secrets. `operate`:
 * change models, versions, rollouts and flags. `gateway`: read snapshots, with the key that signs request ids, and report
 * evidence, as gateways do. `admin`: all of it, and tokens.
 */
export type Scope = 'flags-client' | 'flags' | 'predict' | 'feedback' | 'read' | 'operate' | 'gateway' | 'admin';

/** Every scope, weakest first. */
export const SCOPES: readonly Scope[] = ['flags-client', 'flags', 'predict', 'feedback', 'read', 'operate', 'gateway', 'admin'];

/** Whose SDKs a token is for: its secret looks as they expect. */
export type SdkFamily = 'unleash' | 'launchdarkly' | 'flagsmith' | 'openfeature';

/** Every family of SDKs. */
export const SDK_FAMILIES: readonly SdkFamily[] = ['unleash', 'launchdarkly', 'flagsmith', 'openfeature'];

/** A token as it is stored: a digest, never the secret. */
export interface Token {
  readonly id: string;
  readonly name: string;
  /** Lower-case hexadecimal SHA-256 of the secret part; of the whole key when it is an SDK's. */
  readonly sha256: string;
  readonly scopes: readonly Scope[];
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly expiresAtMs?: number;
  /** Absent for tokens of our own form. */
  readonly sdk?: SdkFamily;
}

/** Whether scopes include one: `admin` implies all, `operate` implies `read`, `flags` implies `flags-client`. */
export function allows(scopes: readonly Scope[], needed: Scope): boolean {
  if (scopes.includes(needed) || scopes.includes('admin')) return true;
  if (needed === 'flags-client') return scopes.includes('flags');
  return needed === 'read' && scopes.includes('operate');
}
