/** What a new version is made of: an artifact that was uploaded, a model server whose address may be called, or a service of its users. */
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
  const { artifact, upstream, external } = input;
  const given = [artifact, upstream, external].filter((source) => source !== undefined).length;
  if (given !== 1) {
    const problem = given === 0 ? 'none is given' : `${given} are given`;
    throw new AppError(
      'request.invalid',
      `cannot register ${input.version} of "${model}": give exactly one of "artifact" (the sha256 of an uploaded ONNX file), "upstream" (the address of a model server) and "external" (true: your own service serves it and decides by flag); ${problem}`,
    );
  }
  if (external !== undefined) return { kind: 'external' };
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
