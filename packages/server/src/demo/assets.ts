/** The example models on disk: files, baselines, requests and what is known of them. The stage and the stories depend on it. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ModelTraffic } from './traffic.ts';

const VersionFacts = z.object({ file: z.string(), shows: z.string(), offline: z.record(z.string(), z.number()) });
const Facts = z.record(z.string(), z.object({ versions: z.record(z.string(), VersionFacts) }));
const Baseline = z.object({ predictions: z.array(z.number()) });
const Requests = z.object({ features: z.array(z.array(z.number())), labels: z.array(z.number()) });

/** One version as it lies on disk. */
export interface VersionAsset {
  readonly version: string;
  readonly fileName: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Predictions that were made offline, on validation rows. */
  readonly baseline: readonly number[];
  /** Metrics that its team measured offline. */
  readonly offline: Readonly<Record<string, number>>;
  readonly note: string;
}

/** One model with all of its versions. */
export interface ModelAsset {
  readonly model: string;
  readonly versions: readonly VersionAsset[];
  readonly traffic: ModelTraffic;
}

/** What a demo model is asked, by how many and how often. */
export type ModelSetting = Pick<ModelTraffic, 'model' | 'task' | 'users' | 'perSecond'>;

/** @param folder `examples/models/`, with the slash at its end */
export async function readAsset(folder: URL, setting: ModelSetting): Promise<ModelAsset> {
  const { model } = setting;
  const facts = Facts.parse(await readJson(new URL('models.json', folder)))[model];
  if (facts === undefined) throw new Error(`cannot start the demo: models.json has no model "${model}"`);
  const versions = Object.entries(facts.versions).map(async ([version, { file, shows, offline }]) => ({
    version,
    fileName: `${model}-${version}.onnx`,
    bytes: new Uint8Array(await readFile(new URL(file, folder))),
    baseline: Baseline.parse(await readJson(new URL(`${model}/${version}.baseline.json`, folder))).predictions,
    offline,
    note: shows,
  }));
  return { model, versions: await Promise.all(versions), traffic: await readTraffic(folder, setting) };
}

async function readTraffic(folder: URL, setting: ModelSetting): Promise<ModelTraffic> {
  const usual = Requests.parse(await readJson(new URL(`${setting.model}/requests.json`, folder)));
  const shifted = Requests.parse(await readJson(new URL(`${setting.model}/requests-shifted.json`, folder)));
  return { ...setting, rows: { usual: usual.features, shifted: shifted.features }, labels: usual.labels };
}

async function readJson(file: URL): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8'));
}
