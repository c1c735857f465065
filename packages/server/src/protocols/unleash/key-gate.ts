/** Lets a request in by its SDK key. Every route but health and preflight stands behind it. */
import type { FastifyRequest } from 'fastify';
import type { KeyCheck, KeyUse, ProtocolPorts } from '../flag-world.ts';
import { UnleashProblem } from './problem.ts';

/** Part of the API: the client API gives away all rules, the frontend API only answers. */
export type Api = 'client' | 'frontend';

type GatePorts = Pick<ProtocolPorts, 'world' | 'keys' | 'log'>;

/** The hook in front of the routes of an API. */
export function gateOf(api: Api, ports: GatePorts): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    if (ports.world.now() === undefined) throw new UnleashProblem(503, 'Understudy is starting: it has not loaded the flags yet');
    const secret = secretOf(request);
    if (secret === undefined) {
      throw new UnleashProblem(401, 'an SDK key is needed: send it as the header "Authorization", as it is, without "Bearer"');
    }
    const check = await checkKey(ports, secret);
    if (check.outcome === 'unavailable') throw new UnleashProblem(503, 'SDK keys cannot be looked up at the moment');
    if (check.outcome === 'unknown') throw new UnleashProblem(401, 'the SDK key is unknown or revoked; ask an admin for another');
    refuseWrongUse(api, check, request);
  };
}

/** What came as the key; SDKs send it as it is. */
export function secretOf({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  const text = headers.authorization?.trim().replace(/^bearer +/i, '');
  return text === '' ? undefined : text;
}

/** A look-up that fails says nothing about the key. */
export async function checkKey({ keys, log }: Pick<GatePorts, 'keys' | 'log'>, secret: string): Promise<KeyCheck> {
  try {
    return await keys.check(secret);
  } catch (error) {
    log.warn({ err: error }, 'unleash.key_check_failed');
    return { outcome: 'unavailable' };
  }
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
