/** What a new version is made of: an artifact that was uploaded, or a model server whose address may be called. */
import type { VersionInput } from '@understudy/contract/model-endpoints';
import { AppError } from '@understudy/core/errors';
import type { VersionSource } from '@understudy/core/model-version';
import type { ArtifactIntake } from './ports.ts';
import { checkedUpstream, type OwnListeners } from './upstream-address.ts';

interface SourceContext {
  readonly artifacts: Pick<ArtifactIntake, 'find'>;
  readonly own: OwnListeners;
}

/** @throws AppError `request.invalid`, `artifact.not_found`, `upstream.forbidden_address` */
export async function sourceOf(context: SourceContext, model: string, input: VersionInput): Promise<VersionSource> {
  const { artifact, upstream } = input;
  if ((artifact === undefined) === (upstream === undefined)) {
    const problem = artifact === undefined ? 'neither is given' : 'both are given';
    throw new AppError(
      'request.invalid',
      `cannot register ${input.version} of "${model}": give exactly one of "artifact" (the sha256 of an uploaded ONNX file) and "upstream" (the address of a model server); ${problem}`,
    );
  }
  if (upstream !== undefined) {
    const url = checkedUpstream(upstream.url, context.own);
    return { kind: 'upstream', url, protocol: upstream.protocol, remoteModel: upstream.remoteModel ?? model };
  }
  const found = artifact === undefined ? undefined : await context.artifacts.find(artifact);
  if (found === undefined) {
    throw new AppError(
      'artifact.not_found',
      `cannot register ${input.version} of "${model}": no artifact ${artifact} was uploaded; upload the file first (\`understudy version register --onnx FILE\` does both, or POST /api/v1/artifacts) and use the sha256 of the answer`,
    );
  }
  return { kind: 'onnx', ...found };
}
