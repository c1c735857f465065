/** Registering a version: the ONNX file is hashed and streamed up first, then named. `version register` depends on it. */
import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import path from 'node:path';
import type { Answer, CallInput } from '@understudy/contract/client';
import { AppError } from '@understudy/core/errors';
import type { UpstreamProtocol } from '@understudy/core/model-version';
import type { Input } from './command.ts';
import { readBaseline } from './input-values.ts';
import type { Session } from './session.ts';
import { UsageError } from './usage-error.ts';

/** What a model server may speak. */
export const UpstreamProtocolChoices: readonly UpstreamProtocol[] = ['predict', 'open-inference', 'tensorflow', 'mlflow'];

// A model of some gigabytes on a slow line.
const UPLOAD_TIMEOUT_MS = 3_600_000;

// Formats that people try first; the server refuses them by content, this only saves the upload.
const HINTS: Readonly<Record<string, string>> = {
  '.pkl': 'pickle runs code when it is loaded. Export to ONNX (scikit-learn: skl2onnx)',
  '.pickle': 'pickle runs code when it is loaded. Export to ONNX (scikit-learn: skl2onnx)',
  '.joblib': 'joblib files are pickle, which runs code when it is loaded. Export to ONNX with skl2onnx',
  '.pt': 'PyTorch files are pickle, which runs code when it is loaded. Export with torch.onnx.export',
  '.pth': 'PyTorch files are pickle, which runs code when it is loaded. Export with torch.onnx.export',
  '.h5': 'Keras files are not run here. Export with tf2onnx',
  '.keras': 'Keras files are not run here. Export with tf2onnx',
  '.pb': 'TensorFlow graphs are not run here. Export with tf2onnx',
  '.safetensors': 'this holds weights without a model. Export the model to ONNX',
};

/** @returns nothing after a dry run */
export async function registerVersion(session: Session, input: Input): Promise<Answer<'registerVersion'> | undefined> {
  const [model, version] = [input.argument('model'), input.argument('version')];
  const file = input.text('onnx');
  const isExternal = input.flag('external');
  if ([file !== undefined, input.text('upstream') !== undefined, isExternal].filter(Boolean).length !== 1) {
    throw new UsageError('choose one of --onnx FILE, --upstream URL and --external');
  }
  const baseline = await baselineOf(input);
  const source = isExternal
    ? ({ external: true } as const)
    : file === undefined
      ? { upstream: upstreamOf(input) }
      : { artifact: await upload(session, file) };
  const body = { version, ...source, ...(baseline === undefined ? {} : { baseline }), note: input.text('note') ?? '' };
  return session.change('registerVersion', { params: { model }, body });
}

/** @returns the sha256 of the file, which names the artifact */
async function upload(session: Session, file: string): Promise<string> {
  const hint = HINTS[path.extname(file).toLowerCase()];
  if (hint !== undefined) {
    throw new AppError(
      'artifact.executable_format',
      `cannot register ${file}: ${hint}, or run a model server and register it with --upstream`,
    );
  }
  const blob = await openFile(file);
  if (blob.size === 0) throw new AppError('artifact.empty', `cannot register ${file}: it is empty`);
  const sha256 = await digestOf(blob);
  session.note(`${file}: ${blob.size} bytes, sha256 ${sha256}`);
  const query = { name: path.basename(file).slice(0, 300) };
  const artifact = await session.change('uploadArtifact', { query, body: blob.stream() }, { timeoutMs: UPLOAD_TIMEOUT_MS });
  if (artifact !== undefined && artifact.sha256 !== sha256) {
    throw new AppError(
      'artifact.checksum_mismatch',
      `uploaded ${file} with sha256 ${sha256}, but the server has ${artifact.sha256}: the file changed meanwhile, or the line is broken. Try again`,
    );
  }
  return sha256;
}

async function openFile(file: string): Promise<Blob> {
  try {
    return await openAsBlob(file);
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

async function digestOf(blob: Blob): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of blob.stream()) hash.update(chunk);
  return hash.digest('hex');
}

function upstreamOf(input: Input): NonNullable<CallInput<'registerVersion'>['body']['upstream']> {
  const protocol = UpstreamProtocolChoices.find((choice) => choice === input.text('protocol'));
  if (protocol === undefined) throw new UsageError(`--upstream needs --protocol: one of ${UpstreamProtocolChoices.join(', ')}`);
  const remoteModel = input.text('remoteModel');
  return { url: input.text('upstream') ?? '', protocol, ...(remoteModel === undefined ? {} : { remoteModel }) };
}

async function baselineOf(input: Input): Promise<Awaited<ReturnType<typeof readBaseline>> | undefined> {
  const [baseline, validation] = [input.text('baseline'), input.text('validation')];
  if (baseline !== undefined && validation !== undefined) {
    throw new UsageError('choose one of --baseline (predictions) and --validation (rows to predict)');
  }
  if (baseline !== undefined) return readBaseline(baseline);
  if (validation === undefined) return undefined;
  const read = await readBaseline(validation);
  if (!('features' in read))
    throw new UsageError(`--validation ${validation} holds predictions, not rows of features; pass it with --baseline`);
  return read;
}
