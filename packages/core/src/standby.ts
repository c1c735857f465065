/** Standbys: the former champions that gateways keep loaded and try, and which of them a rollback passes over. Snapshot and engine depend on it. */
import { fallbacksOf, lastKnownGood, type Model, type PassedOver } from './model.ts';
import type { ModelVersion } from './model-version.ts';

/** What trying a version came to. `unproven`: nothing that was tried says anything about real requests. */
export interface Probe {
  readonly outcome: 'ok' | 'failed' | 'unproven';
  readonly detail: string;
  readonly atMs: number;
}

/** One connected gateway's word on one version. */
export interface VersionSighting {
  readonly gateway: string;
  readonly version: string;
  readonly state: 'loading' | 'ready' | 'failed';
  readonly detail: string;
  readonly probe?: Probe | undefined;
}

/** Gateways keep them loaded beside the last known good, so that they can be tried again: a model costs memory everywhere. */
const MAX_PASSED_OVER = 2;

/** The last known good version and those that are passed over, as far as they still are fallbacks. */
export function standbysOf(model: Model, versions: readonly ModelVersion[]): readonly string[] {
  const fallbacks = new Set(fallbacksOf(model, versions));
  const passedOver = (model.passedOver ?? []).map(({ version }) => version).filter((version) => fallbacks.has(version));
  const good = lastKnownGood(model, versions);
  return [...new Set([...(good === undefined ? [] : [good]), ...passedOver])];
}

/**
 * Which former champions a rollback should pass over now: those that every connected gateway fails to load or to get a right
 * answer from, while there is an older one to go to. A version that no gateway speaks of stays as it was.
 * @param sightings of connected gateways
 * @returns newest first
 */
export function passedOverNow(
  model: Model,
  versions: readonly ModelVersion[],
  {
    sightings,
    gateways,
    atMs,
  }: { readonly sightings: readonly VersionSighting[]; readonly gateways: number; readonly atMs: number },
): readonly PassedOver[] {
  const fallbacks = fallbacksOf(model, versions);
  const known = new Map(model.passedOver?.map((passed) => [passed.version, passed]));
  const standbys = new Set(standbysOf(model, versions));
  return fallbacks
    .slice(0, -1)
    .filter((version) => standbys.has(version))
    .flatMap((version) => {
      const before = known.get(version);
      const seen = sightings.filter((sighting) => sighting.version === version);
      const failures = seen.flatMap((sighting) => failureOf(sighting) ?? []);
      const isEverywhere = gateways > 0 && failures.length === gateways;
      if (isEverywhere) return [before ?? { version, reason: failures.join('; '), sinceMs: atMs }];
      // A gateway that is loading it, or has not tried it yet, says nothing either way.
      const isTried = seen.some(({ state, probe }) => state === 'ready' && probe !== undefined && probe.outcome !== 'failed');
      return before === undefined || isTried ? [] : [before];
    })
    .slice(0, MAX_PASSED_OVER);
}

/** Why a gateway could not answer with a version; undefined when nothing speaks against it. */
export function failureOf({ gateway, version, state, detail, probe }: VersionSighting): string | undefined {
  if (state === 'failed') return `${version} cannot be loaded on gateway "${gateway}" (${detail})`;
  if (probe?.outcome === 'failed') return `${version} fails its probe on gateway "${gateway}" (${probe.detail})`;
  return undefined;
}
