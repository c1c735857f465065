/** Which SDK a request comes from, for the list of SDKs. Both APIs depend on it. */
import type { FastifyRequest } from 'fastify';
import type { SdkSighting } from '../flag-world.ts';

/** What an SDK says of itself in a body, where headers do not say it. */
export interface SelfDescription {
  readonly appName?: string | undefined;
  readonly sdkVersion?: string | undefined;
}

export function sightingOf({ headers }: FastifyRequest, isLocal: boolean, self: SelfDescription = {}): SdkSighting {
  const sdk = textOf(headers['unleash-sdk']) ?? self.sdkVersion ?? headers['user-agent'] ?? 'unknown';
  const application = textOf(headers['unleash-appname']) ?? self.appName ?? 'unknown';
  return { family: 'unleash', sdk, application, isLocal };
}

function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && header !== '' ? header : undefined;
}
