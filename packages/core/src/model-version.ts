/** A version of a model: what it is made of, what it expects and returns, its baseline and its health. The registry depends on it. */
import { type Moments, meanOf, standardDeviationOf } from './evidence.ts';
import type { Distribution } from './prediction-bins.ts';

/** Element types of the Open Inference Protocol that the gateway reads and writes. */
export type DataType = 'BOOL' | 'UINT8' | 'INT8' | 'INT16' | 'INT32' | 'INT64' | 'FP32' | 'FP64' | 'BYTES';

/** One input or output; −1 in the shape is a free dimension. */
export interface TensorSpec {
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: readonly number[];
}

/** Inputs and outputs of a version. `prediction` names the output whose values are recorded as predictions. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly prediction: string;
}

/** The wire protocol that a model server speaks. */
export type UpstreamProtocol = 'predict' | 'open-inference' | 'tensorflow' | 'mlflow';

/**
 * Where a version's predictions come from: an artifact run in the gateway, a model server elsewhere, or (`external`) a
 * service of its users that decides by flag. Gateways never load an external version.
 */
export type VersionSource =
  | { readonly kind: 'onnx'; readonly sha256: string; readonly bytes: number; readonly signature: Signature }
  | { readonly kind: 'upstream'; readonly url: string; readonly protocol: UpstreamProtocol; readonly remoteModel: string }
  | { readonly kind: 'external' };

/** A source that gateways can load. */
export type LoadableSource = Exclude<VersionSource, { readonly kind: 'external' }>;

/** What predictions of this version are expected to look like. */
export interface Baseline {
  readonly count: number;
  readonly mean: number;
  readonly standardDeviation: number;
  /** How the predictions are distributed; absent when only their mean and spread are known. */
  readonly distribution?: Distribution;
  /** `validation`: computed offline and registered; `live`: captured from traffic while champion. */
  readonly source: 'validation' | 'live';
  readonly setAtMs: number;
}

/** Unhealthy versions are never rolled back to and never get a rollout until a person says otherwise. */
export type VersionHealth =
  | { readonly state: 'healthy' }
  | {
      readonly state: 'unhealthy';
      readonly reason: string;
      readonly by: string;
      readonly atMs: number;
      /** A person's word that the file is not to blame: other versions may be made of it, this one stays unhealthy. */
      readonly released?: { readonly reason: string; readonly by: string; readonly atMs: number };
    };

/** Immutable but for baseline and health. */
export interface ModelVersion {
  readonly model: string;
  readonly version: string;
  readonly source: VersionSource;
  readonly baseline?: Baseline;
  readonly health: VersionHealth;
  readonly note: string;
  readonly registeredAtMs: number;
  readonly registeredBy: string;
}

/** A sample of predictions as far as it is known. */
export interface PredictionSample {
  readonly moments: Moments;
  /** Absent when only mean and spread are known. */
  readonly distribution?: Distribution | undefined;
}

/**
 * The baseline that a sample of predictions gives.
 * @returns undefined with fewer than two predictions (one value has no spread to measure drift in), or when they are
 *   too large to add up
 */
export function baselineOf(sample: PredictionSample, source: Baseline['source'], setAtMs: number): Baseline | undefined {
  const { moments, distribution } = sample;
  const mean = meanOf(moments);
  const standardDeviation = standardDeviationOf(moments);
  if (mean === undefined || standardDeviation === undefined || !Number.isFinite(mean)) return undefined;
  const shape = distribution === undefined ? {} : { distribution };
  return { count: moments.count, mean, standardDeviation, ...shape, source, setAtMs };
}

/** Whether gateways serve versions of this source. */
export function isLoadable(source: VersionSource): source is LoadableSource {
  return source.kind !== 'external';
}

/** Whether values of this type are labels of classes rather than measures. */
export function isLabelType(dataType: DataType): boolean {
  return dataType !== 'FP32' && dataType !== 'FP64';
}

/** Whether a version is known to predict classes. What a model server predicts nobody knows before it does. */
export function isClassifier(source: VersionSource): boolean {
  if (source.kind !== 'onnx') return false;
  const { outputs, prediction } = source.signature;
  return outputs.some(({ name, dataType }) => name === prediction && isLabelType(dataType));
}
