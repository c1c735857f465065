/** Commands on access tokens. Only digests are stored; a secret is known once, to whoever asked for it. */
import { randomBytes } from 'node:crypto';
import { AppError } from '@understudy/core/errors';
import type { Scope, SdkFamily, Token } from '@understudy/core/token';
import { digestOf, foreignFamily, formatToken, newSdkKey, randomSecret } from '../token-secret.ts';
import { type Caller, type CommandContext, runCommand } from './command.ts';
import { create, hold, listBodies, type QueryContext } from './queries.ts';
import type { Receipt } from './receipt.ts';

interface TokenInput {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresInMs?: number;
  /** Gives the key the form that these SDKs expect. */
  readonly sdk?: SdkFamily;
}

/**
 * Creates a token.
 * @returns the whole token to be sent as Bearer, or the key to configure an SDK with; it is shown this once
 * @throws AppError `request.invalid` when an SDK cannot use its scopes; `idempotency.key_reused` when the call is repeated: the secret of the first is not kept
 */
export async function createToken(
  context: CommandContext,
  caller: Caller,
  input: TokenInput,
): Promise<{ readonly receipt: Receipt; readonly secret: string; readonly token: Token }> {
  const id = randomBytes(6).toString('hex');
  const secret = secretOf(context.environment, input);
  const token: Token = {
    id,
    name: input.name,
    sha256: digestOf(secret),
    scopes: input.scopes,
    createdAtMs: context.clock.nowMs(),
    createdBy: caller.actor,
    ...(input.expiresInMs === undefined ? {} : { expiresAtMs: context.clock.nowMs() + input.expiresInMs }),
    ...(input.sdk === undefined ? {} : { sdk: input.sdk }),
  };
  const receipt = await runCommand(context, caller, async () => {
    const message = `created token "${input.name}" (${id})`;
    const reason = `${message} with scopes ${input.scopes.join(', ')}`;
    return {
      commit: { writes: [create('token', id, token)], action: 'token.created', reason },
      receipt: { outcome: 'done', message, id },
    };
  });
  if (receipt.id !== id) {
    throw new AppError(
      'idempotency.key_reused',
      `${receipt.message} by an earlier call with the same idempotency key; its secret was shown then and is not stored. Revoke it and create another.`,
    );
  }
  return { receipt, secret: foreignFamily(input.sdk) === undefined ? formatToken(id, secret) : secret, token };
}

function secretOf(environment: string, { name, scopes, sdk }: TokenInput): string {
  if (sdk === undefined) return randomSecret();
  const [scope, ...others] = scopes;
  if (others.length > 0 || (scope !== 'flags' && scope !== 'flags-client')) {
    throw new AppError(
      'request.invalid',
      `cannot create the key "${name}" for ${sdk} with the scopes ${scopes.join(', ')}: a key for SDKs has exactly one, "flags" for servers or "flags-client" for browsers`,
    );
  }
  if (sdk === 'launchdarkly' && scope === 'flags-client') {
    throw new AppError(
      'request.invalid',
      `cannot create the key "${name}": LaunchDarkly's SDKs for browsers are not served; use OpenFeature's there (sdk "openfeature")`,
    );
  }
  const family = foreignFamily(sdk);
  const use = scope === 'flags' ? 'server' : 'client';
  return family === undefined ? randomSecret() : newSdkKey(family, { environment, use });
}

/** @throws AppError `token.not_found` */
export async function revokeToken(context: CommandContext, caller: Caller, input: { readonly token: string }): Promise<Receipt> {
  return runCommand(context, caller, async () => {
    const held = await hold(context, 'token', input.token);
    if (held === undefined)
      throw new AppError('token.not_found', `there is no token "${input.token}"; list them with \`understudy token list\``);
    const message = `revoked token "${held.body.name}" (${held.id})`;
    const write = { kind: 'token', id: held.id, expectedRevision: held.revision, body: undefined } as const;
    return {
      commit: { writes: [write], action: 'token.revoked', reason: message },
      receipt: { outcome: 'done', message, id: held.id },
    };
  });
}

/** All tokens, oldest first. */
export async function listTokens(context: QueryContext): Promise<readonly Token[]> {
  return (await listBodies(context, 'token')).toSorted((a, b) => a.createdAtMs - b.createdAtMs);
}

/**
 * Creates the first admin token of an environment that has no token at all.
 * @returns the token, shown this once; undefined when there are tokens already
 */
export async function createFirstToken(context: CommandContext): Promise<string | undefined> {
  return (await listTokens(context)).length > 0 ? undefined : createAdminToken(context);
}

/** Creates a further admin token, for whoever lost theirs but can start the process. @returns the token, shown this once */
export async function createAdminToken(context: CommandContext): Promise<string> {
  const { secret } = await createToken(context, { actor: 'setup' }, { name: 'admin', scopes: ['admin'] });
  return secret;
}
