/** Handlers of access tokens. A digest never leaves the server, a secret once. */
import type { TokenView } from '@understudy/contract/views';
import type { Token } from '@understudy/core/token';
import { createToken, listTokens, revokeToken } from '../commands/tokens.ts';
import type { Handlers } from './call.ts';
import { outcomeOf } from './outcome.ts';

export const TOKEN_HANDLERS = {
  createToken: async (context, { caller, body }) => {
    const { token, secret } = await createToken(context, caller, body);
    return { token: tokenView(token), secret };
  },
  listTokens: async (context) => (await listTokens(context)).map(tokenView),
  revokeToken: async (context, { caller, params }) => outcomeOf(await revokeToken(context, caller, params)),
} satisfies Partial<Handlers>;

function tokenView({ sha256: _digest, scopes, ...token }: Token): TokenView {
  return { ...token, scopes: [...scopes] };
}
