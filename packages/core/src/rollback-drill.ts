/** The rollback drill: would a rollback work now, and where would it go. Looks and changes nothing. API and views depend on it. */
import { formatDuration } from './duration.ts';
import { fallbacksOf, lastKnownGood, type Model } from './model.ts';
import { isLoadable, type ModelVersion, type TensorSpec } from './model-version.ts';
import { failureOf, type VersionSighting } from './standby.ts';

/** One thing that a rollback needs. `doubtful`: probably, but nobody has seen it. */
export interface DrillCheck {
  readonly name: 'champion' | 'target' | 'gateways' | 'loaded' | 'probed' | 'inputs' | 'automatic';
  readonly outcome: 'ok' | 'doubtful' | 'failed';
  readonly detail: string;
}

/** What a drill came to: the worst of its checks. */
export interface Drill {
  readonly outcome: 'works' | 'doubtful' | 'fails';
  /** Where a rollback would go now. */
  readonly target?: string;
  readonly checks: readonly DrillCheck[];
}

/** What a drill looks at. */
export interface DrillSituation {
  readonly model: Model;
  /** Every version of the model. */
  readonly versions: readonly ModelVersion[];
  /** Names of the connected gateways. */
  readonly gateways: readonly string[];
  /** What they say of the model's versions. */
  readonly sightings: readonly VersionSighting[];
  readonly atMs: number;
}

// Standbys are tried once a minute; three missed tries are more than a slow one.
const STALE_MS = 180_000;

/** Checks everything that a rollback of the present champion would need. */
export function drillRollback(situation: DrillSituation): Drill {
  const { model, versions } = situation;
  if (model.champion === undefined) {
    return drillOf([failed('champion', `"${model.name}" has no champion that could be rolled back`)]);
  }
  const champion = ok('champion', `${model.champion} is champion`);
  const target = lastKnownGood(model, versions);
  if (target === undefined) {
    const why = 'there is no healthy former champion made of another file; promote a good version, and the one before becomes it';
    return drillOf([champion, failed('target', why)]);
  }
  const source = versions.find(({ version }) => version === target)?.source;
  const served =
    source !== undefined && isLoadable(source)
      ? servingChecks(situation, target)
      : [doubtful('probed', `${target} is served by your own service, which flags tell at once; nobody here can try it`)];
  return drillOf(
    [champion, targetCheck(situation, target), ...served, inputsCheck(situation, target), automaticCheck(situation)],
    target,
  );
}

/** What a person should know about the way back, although nobody asked for a drill. */
export function drillWarnings({ checks }: Drill): readonly string[] {
  return checks.filter(({ outcome }) => outcome !== 'ok').map(({ detail }) => detail);
}

function drillOf(checks: readonly DrillCheck[], target?: string): Drill {
  const has = (outcome: DrillCheck['outcome']): boolean => checks.some((check) => check.outcome === outcome);
  const outcome = has('failed') ? 'fails' : has('doubtful') ? 'doubtful' : 'works';
  return { outcome, ...(target === undefined ? {} : { target }), checks };
}

function targetCheck({ model, versions }: DrillSituation, target: string): DrillCheck {
  const passedOver = model.passedOver?.filter(({ version }) => fallbacksOf(model, versions).includes(version)) ?? [];
  if (passedOver.length === 0) return ok('target', `${target} is healthy and was champion before`);
  const reasons = passedOver.map(({ reason }) => reason).join('; ');
  const isLast = passedOver.some(({ version }) => version === target);
  return isLast
    ? failed('target', `every former champion fails: ${reasons}`)
    : doubtful('target', `${target} is healthy and was champion before, and newer ones are passed over: ${reasons}`);
}

function servingChecks({ gateways, sightings, atMs }: DrillSituation, target: string): readonly DrillCheck[] {
  if (gateways.length === 0) return [failed('gateways', 'no gateway has reported within the last 10 s')];
  const many = gateways.length === 1 ? 'the one gateway' : `all ${gateways.length} gateways`;
  const seen = gateways.map((gateway) => ({
    gateway,
    sighting: sightings.find((one) => one.gateway === gateway && one.version === target),
  }));
  const missing = seen.flatMap(({ gateway, sighting }) => {
    if (sighting === undefined) return [`gateway "${gateway}" has not heard of ${target}`];
    return sighting.state === 'loading' ? [`${target} is still loading on gateway "${gateway}"`] : [];
  });
  const unloadable = seen.flatMap(({ sighting }) => (sighting?.state === 'failed' ? (failureOf(sighting) ?? []) : []));
  const notLoaded = [...missing, ...unloadable];
  const loaded =
    notLoaded.length === 0
      ? ok(
          'loaded',
          `${target} is loaded on ${many}, so a rollback takes effect with the next snapshot, without waiting for a model`,
        )
      : failed('loaded', `${notLoaded.join('; ')}; until it is loaded there, that gateway would go on with the failing version`);
  const probes = seen.flatMap(({ sighting }) => (sighting?.state === 'ready' ? probeChecks(sighting, atMs) : []));
  return [ok('gateways', `${many} ${gateways.length === 1 ? 'is' : 'are'} connected`), loaded, ...worstOf(probes, target, many)];
}

/** One gateway's word, as a check. */
function probeChecks(sighting: VersionSighting, atMs: number): readonly DrillCheck[] {
  const { gateway, version, probe } = sighting;
  if (probe === undefined)
    return [doubtful('probed', `gateway "${gateway}" has not tried ${version} yet; it does within seconds`)];
  const failure = failureOf(sighting);
  if (failure !== undefined) return [failed('probed', failure)];
  if (probe.outcome === 'unproven') return [doubtful('probed', `${version} on gateway "${gateway}": ${probe.detail}`)];
  const age = atMs - probe.atMs;
  if (age > STALE_MS) {
    return [doubtful('probed', `gateway "${gateway}" tried ${version} ${formatDuration(age)} ago and not since`)];
  }
  return [ok('probed', `${probe.detail}, ${formatDuration(Math.max(0, age))} ago`)];
}

function worstOf(checks: readonly DrillCheck[], target: string, many: string): readonly DrillCheck[] {
  const bad = checks.filter(({ outcome }) => outcome !== 'ok');
  if (bad.length > 0) return bad;
  const [first] = checks;
  return first === undefined ? [] : [ok('probed', `${target} answered on ${many}: ${first.detail}`)];
}

/** Requests that suit the champion should suit the version that takes over. */
function inputsCheck({ model, versions }: DrillSituation, target: string): DrillCheck {
  const inputsOf = (name: string | undefined): readonly TensorSpec[] | undefined => {
    const source = versions.find(({ version }) => version === name)?.source;
    return source?.kind === 'onnx' ? source.signature.inputs : undefined;
  };
  const [now, then] = [inputsOf(model.champion), inputsOf(target)];
  if (now === undefined || then === undefined) return ok('inputs', 'not known for both versions, so not compared');
  if (JSON.stringify(now) === JSON.stringify(then)) return ok('inputs', `${target} takes the same inputs as the champion`);
  return doubtful(
    'inputs',
    `${target} takes other inputs than the champion (${inputWords(then)} instead of ${inputWords(now)}), so requests of today may fail there`,
  );
}

function inputWords(inputs: readonly TensorSpec[]): string {
  return inputs.map(({ name, dataType, shape }) => `${name} ${dataType} [${shape.join(', ')}]`).join(', ');
}

/** The watch rolls back by itself, but not right after a rollback. */
function automaticCheck({ model, atMs }: DrillSituation): DrillCheck {
  const leftMs = (model.lastRollback?.atMs ?? -Infinity) + model.watch.cooldownMs - atMs;
  if (leftMs <= 0) return ok('automatic', 'the watch may roll back by itself');
  return doubtful(
    'automatic',
    `the watch does not roll back by itself for ${formatDuration(leftMs)} more, as there was a rollback just now (cooldown); people can`,
  );
}

function ok(name: DrillCheck['name'], detail: string): DrillCheck {
  return { name, outcome: 'ok', detail };
}

function doubtful(name: DrillCheck['name'], detail: string): DrillCheck {
  return { name, outcome: 'doubtful', detail };
}

function failed(name: DrillCheck['name'], detail: string): DrillCheck {
  return { name, outcome: 'failed', detail };
}
