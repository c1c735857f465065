/** Access tokens: what they allow. Control plane and gateway depend on it. */

/**
 * What a token may do. `predict`: send predictions. `feedback`: report outcomes. `read`: see everything but secrets.
 * `operate`: change models, versions and rollouts. `admin`: all of it, and tokens.
 */
export type Scope = 'predict' | 'feedback' | 'read' | 'operate' | 'admin';

/** Every scope, weakest first. */
export const SCOPES: readonly Scope[] = ['predict', 'feedback', 'read', 'operate', 'admin'];

/** A token as it is stored: a digest, never the secret. */
export interface Token {
  readonly id: string;
  readonly name: string;
  /** Lower-case hexadecimal SHA-256 of the secret part. */
  readonly sha256: string;
  readonly scopes: readonly Scope[];
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly expiresAtMs?: number;
}

/** Whether scopes include one: `admin` implies all, `operate` implies `read`. */
export function allows(scopes: readonly Scope[], needed: Scope): boolean {
  if (scopes.includes(needed) || scopes.includes('admin')) return true;
  return needed === 'read' && scopes.includes('operate');
}
