/** Quarantine: the file of a version that was found unhealthy must not come back under another name. Registry commands and the fallback depend on it. */
import { formatDuration } from './duration.ts';
import { AppError } from './errors.ts';
import type { ModelVersion, VersionHealth, VersionSource } from './model-version.ts';

type Unhealthy = Extract<VersionHealth, { state: 'unhealthy' }>;

/** A version whose health keeps its artifact in quarantine. Nothing else is stored: marking it healthy lifts it. */
export interface Quarantine {
  readonly version: ModelVersion;
  readonly health: Unhealthy;
}

/**
 * What keeps the artifact of a source in quarantine: another version, of any model, that is made of the same file, is marked
 * unhealthy and was not released.
 * @param versions all that are known
 * @param but this one's own health is its own matter
 */
export function quarantineOf(
  source: VersionSource,
  versions: readonly ModelVersion[],
  but?: Pick<ModelVersion, 'model' | 'version'>,
): Quarantine | undefined {
  if (source.kind !== 'onnx') return undefined;
  for (const version of versions) {
    const { health } = version;
    const isOther = version.model !== but?.model || version.version !== but.version;
    if (isOther && health.state === 'unhealthy' && health.released === undefined && isSameArtifact(source, version.source)) {
      return { version, health };
    }
  }
  return undefined;
}

/**
 * Why a version may not be on trial any more; undefined when it may.
 * @param versions those of all models that are unhealthy, at least
 */
export function unfitBecause(version: ModelVersion, versions: readonly ModelVersion[]): string | undefined {
  if (version.health.state === 'unhealthy') return version.health.reason;
  const quarantine = quarantineOf(version.source, versions, version);
  if (quarantine === undefined) return undefined;
  const { model, version: name } = quarantine.version;
  const which = model === version.model ? name : `${name} of "${model}"`;
  return `it is made of the same file as ${which}, which was marked unhealthy (${quarantine.health.reason})`;
}

/** Whether both are made of the same uploaded file. Addresses say nothing of the kind: what answers there may change. */
export function isSameArtifact(one: VersionSource, other: VersionSource): boolean {
  return one.kind === 'onnx' && other.kind === 'onnx' && one.sha256 === other.sha256;
}

/**
 * Refuses what would bring a quarantined artifact back.
 * @param attempt begins the message: `cannot promote v3`
 * @throws AppError `version.quarantined` with who, when, why and what to do
 */
export function assertNotQuarantined(attempt: string, quarantine: Quarantine | undefined, atMs: number): void {
  if (quarantine === undefined) return;
  const { version, health } = quarantine;
  const name = `${version.model} ${version.version}`;
  const file = version.source.kind === 'onnx' ? ` (sha256 ${version.source.sha256.slice(0, 12)}…)` : '';
  throw new AppError(
    'version.quarantined',
    `${attempt}: its file${file} is quarantined, as ${version.version} of "${version.model}" is made of the same one and was marked unhealthy by ${health.by} ${agoOf(health, atMs)} (${health.reason}). Register a repaired file; if the file is not to blame, say so: understudy version unquarantine ${name} --reason "…", or understudy version mark-healthy ${name}`,
  );
}

/**
 * What a person should know who registers the address of an unhealthy version again. No refusal: the server there may be
 * another one by now.
 */
export function sameAddressWarnings(subject: ModelVersion, versions: readonly ModelVersion[], atMs: number): readonly string[] {
  return versions.flatMap(({ model, version, source, health }) => {
    const isOther = model !== subject.model || version !== subject.version;
    if (!isOther || health.state !== 'unhealthy' || health.released !== undefined || !isSameAddress(subject.source, source)) {
      return [];
    }
    return [
      `${version} of "${model}" has the same address and was marked unhealthy by ${health.by} ${agoOf(health, atMs)} (${health.reason}); make sure that another model answers there now`,
    ];
  });
}

function agoOf(health: Unhealthy, atMs: number): string {
  return `${formatDuration(Math.max(0, atMs - health.atMs))} ago`;
}

function isSameAddress(one: VersionSource, other: VersionSource): boolean {
  return one.kind === 'upstream' && other.kind === 'upstream' && one.url === other.url && one.remoteModel === other.remoteModel;
}
