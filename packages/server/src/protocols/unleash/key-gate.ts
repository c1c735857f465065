/** Lets a request in by its SDK key. Every route but health and preflight stands behind it. */
import type { FastifyRequest } from 'fastify';
import { admit } from '../edge/admission.ts';
import type { KeyUse, ProtocolPorts } from '../flag-world.ts';
import { UnleashProblem } from './problem.ts';

/** Part of the API: the client API gives away all rules, the frontend API only answers. */
export type Api = 'client' | 'frontend';

/** The hook in front of the routes of an API. */
export function gateOf(
  api: Api,
  ports: Pick<ProtocolPorts, 'world' | 'keys' | 'log'>,
): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    const secret = secretOf(request);
    const place = 'the header "Authorization", as it is, without "Bearer"';
    const { key } = await admit(ports, { secrets: secret === undefined ? [] : [secret], place });
    refuseWrongUse(api, key, request);
  };
}

/** What came as the key; SDKs send it as it is. */
export function secretOf({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  const text = headers.authorization?.trim().replace(/^bearer +/i, '');
  return text === '' ? undefined : text;
}

interface KnownKey {
  readonly name: string;
  readonly use: KeyUse;
}

function refuseWrongUse(api: Api, { name, use }: KnownKey, { headers }: FastifyRequest): void {
  if (api === 'client' && use === 'client') {
    const instead = 'give server SDKs a server key, or point a frontend SDK at /api/frontend';
    throw new UnleashProblem(403, `the key "${name}" is a client key, which may only use the frontend API: ${instead}`);
  }
  // Only browsers send an origin, and what is in a browser everybody has.
  if (api === 'frontend' && use === 'server' && headers.origin !== undefined) {
    const instead = 'replace it by a client key, and revoke it: with it, everybody can read all rules';
    throw new UnleashProblem(403, `the key "${name}" is a server key and has come from a browser: ${instead}`);
  }
}
