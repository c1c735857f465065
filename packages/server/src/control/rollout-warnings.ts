/** What a person should know before trusting a live rollout: what the start check found, guards without data, unlike things compared. */
import type { Model } from '@understudy/core/model';
import type { ModelVersion, VersionSource } from '@understudy/core/model-version';
import type { Rollout } from '@understudy/core/rollout';

const DRY_RUN =
  'this is a dry run: the engine only says what it would do. It does not climb, and it does not roll back; a person does';

export function warningsOf(rollout: Rollout, model: Model, versions: readonly ModelVersion[]): string[] {
  const champion = versions.find((version) => version.version === rollout.champion);
  const challenger = versions.find((version) => version.version === rollout.challenger);
  const warnings = [...(rollout.plan.dryRun === true ? [DRY_RUN] : []), ...(rollout.remarks ?? [])];
  if (champion === undefined || challenger === undefined) {
    warnings.push(`a version of the rollout does not exist: champion ${rollout.champion}, challenger ${rollout.challenger}`);
    return warnings;
  }
  if (model.champion !== rollout.champion) {
    warnings.push(
      `${model.champion ?? 'nobody'} is champion of "${model.name}" now, but the rollout compares with ${rollout.champion}; abort it and start another`,
    );
  }
  // The start check of the policy `sequential` has looked at what drift is judged by, and said so in its remarks.
  const isChecked = rollout.plan.policy.kind === 'sequential';
  if (!isChecked && champion.baseline === undefined && challenger.baseline === undefined) {
    warnings.push(
      `neither ${champion.version} nor ${challenger.version} has a baseline, so the guard on prediction drift has no data; set one with \`understudy version baseline ${model.name} ${challenger.version} --from FILE\``,
    );
  }
  warnings.push(...unlikeSources(champion, challenger));
  return warnings;
}

function unlikeSources(champion: ModelVersion, challenger: ModelVersion): readonly string[] {
  const [ours, theirs] = [challenger.source, champion.source];
  if (ours.kind !== theirs.kind) {
    return [
      `${challenger.version} ${placeOf(ours)} and ${champion.version} ${placeOf(theirs)}: their latencies differ by the network, whatever the models do`,
    ];
  }
  if (ours.kind === 'upstream' && theirs.kind === 'upstream' && ours.protocol !== theirs.protocol) {
    return [
      `${challenger.version} speaks ${ours.protocol} and ${champion.version} ${theirs.protocol}: a request in the protocol of one is an error of the other`,
    ];
  }
  if (ours.kind === 'onnx' && theirs.kind === 'onnx' && inputsOf(ours) !== inputsOf(theirs)) {
    return [
      `${challenger.version} takes ${inputsOf(ours)} and ${champion.version} takes ${inputsOf(theirs)}: a request made for one may be an error of the other`,
    ];
  }
  return [];
}

function placeOf(source: VersionSource): string {
  switch (source.kind) {
    case 'onnx':
      return 'runs in the gateway';
    case 'upstream':
      return 'is called over the network';
    case 'external':
      return 'is served by your own service';
  }
}

function inputsOf(source: Extract<VersionSource, { kind: 'onnx' }>): string {
  return source.signature.inputs.map(({ name, dataType, shape }) => `${name} ${dataType}[${shape.join(',')}]`).join(', ');
}
