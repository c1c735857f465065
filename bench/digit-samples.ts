// The held-out digits that the example models come with: what the load sends to every server.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REPOSITORY_FOLDER } from './harness/folders.ts';
import { MissingDependency } from './harness/missing-dependency.ts';

const DIGITS_FOLDER = join(REPOSITORY_FOLDER, 'examples/models/digits');
const SAMPLES_FILE = join(DIGITS_FOLDER, 'requests.json');
// Enough that no answer can come from a cache of one, few enough to be checked one by one before each contest.
const SAMPLES = 100;
const FEATURES = 64;

/** Both arms of every contest run this model, so that each sample has one right answer. */
export const DIGITS_MODEL_FILE = join(DIGITS_FOLDER, 'v1.onnx');

/** @throws MissingDependency when the example models have not been made */
export async function readDigitSamples(): Promise<readonly (readonly number[])[]> {
  let text: string;
  try {
    text = await readFile(SAMPLES_FILE, 'utf8');
  } catch (cause) {
    throw new MissingDependency('examples/models/digits is missing: make it with examples/models/train.py', { cause });
  }
  const file: unknown = JSON.parse(text);
  const features = typeof file === 'object' && file !== null && 'features' in file ? file.features : undefined;
  if (!Array.isArray(features)) throw new Error('examples/models/digits/requests.json has no list "features"');
  const samples = features.slice(0, SAMPLES);
  if (!samples.every(isSample)) throw new Error(`a sample of examples/models/digits/requests.json is not ${FEATURES} numbers`);
  return samples;
}

/** The request body of each sample; the article's service and ours take the same. */
export function bodiesOf(samples: readonly (readonly number[])[]): readonly string[] {
  return samples.map((features) => JSON.stringify({ features }));
}

function isSample(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length === FEATURES && value.every((each) => typeof each === 'number');
}
