/** Endpoints of the environment as a whole: status, gateways, journal, tokens. */
import { z } from 'zod';
import { Name, ScopeSchema, SdkFamilySchema } from './documents.ts';
import { base, type Endpoint, Limit } from './endpoint.ts';
import { GatewayView, JournalEntryView, ModelView, Outcome, TokenView } from './views.ts';

export const ENVIRONMENT_ENDPOINTS = {
  whoAmI: {
    ...base,
    method: 'GET',
    path: '/whoami',
    scope: 'read',
    summary: 'The token that is calling',
    answer: z.strictObject({ id: z.string(), name: z.string(), scopes: z.array(ScopeSchema), environment: z.string() }),
  },
  getStatus: {
    ...base,
    method: 'GET',
    path: '/status',
    scope: 'read',
    summary: 'The environment at a glance',
    answer: z.strictObject({
      environment: z.string(),
      revision: z.int(),
      release: z.string(),
      models: z.array(ModelView),
      gateways: z.array(GatewayView),
    }),
  },
  listGateways: {
    ...base,
    method: 'GET',
    path: '/gateways',
    scope: 'read',
    summary: 'Gateways as last heard of',
    answer: z.array(GatewayView),
  },
  readJournal: {
    ...base,
    method: 'GET',
    path: '/journal',
    scope: 'read',
    summary: 'Every change: who, when, why, before and after; newest first',
    query: z.strictObject({ before: z.coerce.number().int().min(1).exactOptional(), model: Name.exactOptional(), limit: Limit }),
    answer: z.array(JournalEntryView),
  },
  verifyJournal: {
    ...base,
    method: 'GET',
    path: '/journal/verification',
    scope: 'read',
    summary: 'Check the hash chain of the journal',
    answer: z.strictObject({
      intact: z.boolean(),
      entries: z.int(),
      head: z.string().exactOptional(),
      brokenAtRevision: z.int().exactOptional(),
      problem: z.string().exactOptional(),
    }),
  },
  createToken: {
    ...base,
    method: 'POST',
    path: '/tokens',
    scope: 'admin',
    summary: 'Create a token; the secret is shown this once',
    body: z.strictObject({
      name: z.string().min(1).max(100),
      scopes: z.array(ScopeSchema).min(1),
      expiresInMs: z.number().positive().exactOptional(),
      sdk: SdkFamilySchema.exactOptional().meta({
        description:
          'Gives the key the form that SDKs of this family expect; its only scope is then `flags` (servers) or `flags-client` (browsers).',
      }),
    }),
    answer: z.strictObject({
      token: TokenView,
      secret: z
        .string()
        .meta({ description: 'The whole token, to be sent as Bearer; the key to configure when it is for an SDK.' }),
    }),
  },
  listTokens: {
    ...base,
    method: 'GET',
    path: '/tokens',
    scope: 'admin',
    summary: 'All tokens, without secrets',
    answer: z.array(TokenView),
  },
  revokeToken: {
    ...base,
    method: 'DELETE',
    path: '/tokens/:token',
    scope: 'admin',
    summary: 'Revoke a token',
    params: z.strictObject({ token: z.string().min(1).max(100) }),
    answer: Outcome,
  },
} as const satisfies Record<string, Endpoint>;
