/** `understudy token …`: create, list and revoke access tokens. */
import { type Scope, SCOPES, SDK_FAMILIES, type SdkFamily } from '@understudy/core/token';
import type { Command } from './command.ts';
import { durationOf } from './input-values.ts';
import { agoWords, showList, showOutcome, timeWords } from './show.ts';
import { UsageError } from './usage-error.ts';

export const TOKEN_COMMANDS: readonly Command[] = [
  {
    path: 'token create',
    summary: 'Create a token; its secret is printed once, to stdout',
    arguments: [{ name: 'name', about: 'what it is for' }],
    options: [
      { flags: '--scope <scope>', about: 'what it may do', choices: SCOPES, isRepeatable: true },
      {
        flags: '--sdk <family>',
        about: 'a key for these SDKs, in their form; its scope is flags unless told',
        choices: SDK_FAMILIES,
      },
      { flags: '--expires <time>', about: 'valid for this long; for ever when left out' },
    ],
    examples: [
      'token create ci --scope operate --expires 90d',
      'token create app --scope predict > app.token',
      'token create shop --sdk unleash',
    ],
    isChange: true,
    async run(session, input) {
      const sdk = SDK_FAMILIES.find((family) => family === input.text('sdk'));
      const scopes = scopesOf(input.list('scope'), sdk);
      const expires = input.text('expires');
      const expiry = expires === undefined ? {} : { expiresInMs: durationOf(expires, '--expires') };
      const created = await session.change('createToken', {
        body: { name: input.argument('name'), scopes, ...expiry, ...(sdk === undefined ? {} : { sdk }) },
      });
      if (created === undefined) return;
      await session.output.show({ data: created, text: ({ secret }) => secret, names: ({ token }) => [token.id] });
      session.note(`token ${created.token.id} (${scopes.join(', ')}); the secret is not shown again`);
      session.note(`undo: understudy token revoke ${created.token.id}`);
    },
  },
  {
    path: 'token list',
    summary: 'List tokens, without their secrets',
    examples: ['token list'],
    async run(session) {
      await showList(session, await session.ask('listTokens', {}), {
        head: ['token', 'name', 'scopes', 'for', 'created', 'by', 'expires'],
        row: (token) => [
          token.id,
          token.name,
          token.scopes.join(', '),
          token.sdk ?? '',
          agoWords(session, token.createdAtMs),
          token.createdBy,
          token.expiresAtMs === undefined ? 'never' : timeWords(token.expiresAtMs),
        ],
        name: ({ id }) => id,
        empty: 'There is no token.',
      });
    },
  },
  {
    path: 'token revoke',
    summary: 'Revoke a token; who uses it is locked out at once',
    arguments: [{ name: 'token', about: 'its id, as in `token list`' }],
    examples: ['token revoke 3fk29d'],
    isChange: true,
    async run(session, input) {
      await showOutcome(session, await session.change('revokeToken', { params: { token: input.argument('token') } }));
    },
  },
];

function scopesOf(words: readonly string[], sdk: SdkFamily | undefined): Scope[] {
  if (words.length === 0 && sdk !== undefined) return ['flags'];
  if (words.length === 0) throw new UsageError(`name at least one --scope: ${SCOPES.join(', ')}`);
  return SCOPES.filter((scope) => words.includes(scope));
}
