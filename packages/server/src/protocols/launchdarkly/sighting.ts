/** Who an SDK says it is, from the headers of its request. */
import type { IncomingHttpHeaders } from 'node:http';
import type { SdkSighting } from '../flag-world.ts';

/** @param keyName stands for the application when the SDK was given no `application.id` */
export function sightingOf(headers: IncomingHttpHeaders, keyName: string): SdkSighting {
  const [, application = keyName] = /(?:^| )application-id\/(\S+)/.exec(String(headers['x-launchdarkly-tags'] ?? '')) ?? [];
  return {
    family: 'launchdarkly',
    sdk: headers['user-agent'] ?? 'unknown',
    application,
    isLocal: true,
  };
}
