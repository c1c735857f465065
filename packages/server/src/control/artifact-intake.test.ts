import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@understudy/core/errors';
import type { Signature } from '@understudy/core/model-version';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openArtifactStore } from '../storage/artifact-store.ts';
import { openArtifactIntake } from './artifact-intake.ts';
import type { ArtifactIntake } from './ports.ts';

const SIGNATURE: Signature = { inputs: [], outputs: [], prediction: 'label' };

let directory: string;
let inspected: string[];
let inspect: (path: string) => Promise<Signature>;
let intake: ArtifactIntake;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'understudy-intake-'));
  inspected = [];
  inspect = (path) => {
    inspected.push(path);
    return Promise.resolve(SIGNATURE);
  };
  intake = openArtifactIntake({
    files: await openArtifactStore(directory),
    inspect: (path) => inspect(path),
    predict: (_path, _signature, rows) => Promise.resolve(rows.map((row) => row[0] ?? 0)),
    maxBytes: 10_000,
  });
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function* chunks(...texts: readonly string[]): AsyncIterable<Uint8Array> {
  for (const text of texts) yield Buffer.from(text, 'latin1');
}

async function storedFiles(): Promise<readonly string[]> {
  const names = await readdir(directory, { recursive: true });
  return names.filter((name) => /[0-9a-f]{64}$/.test(name));
}

describe('taking a file in', () => {
  it('stores it by its digest, however it comes in pieces, and tells its signature', async () => {
    const whole = await intake.put(chunks('x'.repeat(3000)), 'model.onnx');
    const pieces = await intake.put(chunks('x', 'x'.repeat(1500), 'x'.repeat(1499)), undefined);
    expect(pieces).toEqual(whole);
    expect(whole).toMatchObject({ bytes: 3000, signature: SIGNATURE });
    expect(await intake.find(whole.sha256)).toEqual(whole);
    expect(inspected).toHaveLength(1);
  });

  it.each([
    { name: 'a pickle by its bytes', texts: ['\u0080\u0004\u0095', 'rest'], fileName: 'model.onnx' },
    { name: 'a pickle by its name', texts: ['anything'], fileName: 'model.pkl' },
    { name: 'a pickle that comes byte by byte', texts: ['\u0080', '\u0004', '\u0095', 'x'.repeat(2000)], fileName: undefined },
  ])('refuses $name and keeps nothing of it', async ({ texts, fileName }) => {
    await expect(intake.put(chunks(...texts), fileName)).rejects.toMatchObject({ code: 'artifact.executable_format' });
    expect(await storedFiles()).toEqual([]);
    expect(inspected).toEqual([]);
  });

  it('keeps nothing of a file that does not load', async () => {
    inspect = () => Promise.reject(new AppError('artifact.invalid', 'not a model'));
    await expect(intake.put(chunks('text'), 'model.onnx')).rejects.toMatchObject({ code: 'artifact.invalid' });
    expect(await storedFiles()).toEqual([]);
  });

  it('keeps a file that was good before, whatever a later upload of it meets', async () => {
    const { sha256 } = await intake.put(chunks('model'), 'model.onnx');
    const files = await openArtifactStore(directory);
    const restarted = openArtifactIntake({
      files,
      inspect: () => Promise.reject(new AppError('artifact.invalid', 'no memory left to load it')),
      predict: () => Promise.resolve([]),
      maxBytes: 10_000,
    });
    await expect(restarted.put(chunks('model'), 'model.onnx')).rejects.toMatchObject({ code: 'artifact.invalid' });
    expect(await files.has(sha256)).toBe(true);
  });

  it('refuses what is empty or too large', async () => {
    await expect(intake.put(chunks(), 'model.onnx')).rejects.toMatchObject({ code: 'artifact.empty' });
    await expect(intake.put(chunks('x'.repeat(10_001)), 'model.onnx')).rejects.toMatchObject({ code: 'artifact.too_large' });
  });
});

describe('predicting with a file', () => {
  it('runs the rows through it', async () => {
    const { sha256 } = await intake.put(chunks('model'), 'model.onnx');
    expect(await intake.predict(sha256, [[3], [4]])).toEqual([3, 4]);
  });

  it('says when there is no such file', async () => {
    await expect(intake.predict('0'.repeat(64), [[1]])).rejects.toMatchObject({ code: 'artifact.not_found' });
  });
});
