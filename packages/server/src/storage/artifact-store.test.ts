import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { type ArtifactStore, openArtifactStore } from './artifact-store.ts';

const root = mkdtempSync(path.join(tmpdir(), 'understudy-artifacts-'));
afterAll(() => rmSync(root, { recursive: true }));

const CONTENT = Buffer.from('an ONNX file, as far as the store knows');
const SHA = createHash('sha256').update(CONTENT).digest('hex');

let directory: string;
let store: ArtifactStore;
let count = 0;
beforeEach(async () => {
  directory = path.join(root, String((count += 1)));
  store = await openArtifactStore(directory);
});

async function* chunksOf(content: Uint8Array, size = 7): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}
const putContent = () => store.put(chunksOf(CONTENT), { maxBytes: 1000 });

/** Puts something else in the place of the stored file, which is read-only. */
function replaceStored(content: Uint8Array): void {
  rmSync(store.path(SHA));
  writeFileSync(store.path(SHA), content);
}

describe('storing', () => {
  it('names a file by the digest of its content', async () => {
    const file = path.join(directory, SHA.slice(0, 2), SHA);
    expect(await putContent()).toEqual({ sha256: SHA, bytes: CONTENT.length, path: file, isNew: true });
    expect(await putContent()).toMatchObject({ isNew: false });
    expect(readFileSync(file)).toEqual(CONTENT);
    expect(await store.has(SHA)).toBe(true);
    expect(await store.verify(SHA)).toEqual({ sha256: SHA, bytes: CONTENT.length, path: file });
  });

  it('keeps one file when the same content comes twice at once', async () => {
    await Promise.all([putContent(), putContent(), putContent()]);
    expect(readdirSync(path.dirname(store.path(SHA)))).toEqual([SHA]);
    expect(readdirSync(path.join(directory, 'incoming'))).toEqual([]);
  });

  it('heals a file that has rotted when it is sent again', async () => {
    await putContent();
    replaceStored(Buffer.from('rotten'));
    await putContent();
    expect(await store.verify(SHA)).toMatchObject({ sha256: SHA });
  });

  it('takes a file of exactly the limit', async () => {
    expect(await store.put(chunksOf(CONTENT), { maxBytes: CONTENT.length })).toMatchObject({ bytes: CONTENT.length });
  });

  it.each([
    {
      name: 'is too large',
      stream: () => chunksOf(CONTENT),
      maxBytes: CONTENT.length - 1,
      error: { code: 'artifact.too_large' },
    },
    { name: 'is empty', stream: () => chunksOf(Buffer.alloc(0)), maxBytes: 10, error: { code: 'artifact.empty' } },
    { name: 'breaks off', stream: breakingOff, maxBytes: 1000, error: { message: 'the sender went away' } },
  ])('leaves nothing behind when a stream $name', async ({ stream, maxBytes, error }) => {
    await expect(store.put(stream(), { maxBytes })).rejects.toMatchObject(error);
    expect(readdirSync(directory)).toEqual(['incoming']);
    expect(readdirSync(path.join(directory, 'incoming'))).toEqual([]);
  });

  it('stops reading a stream that is too large', async () => {
    let yielded = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        yielded += 1;
        yield Buffer.alloc(100);
      }
    }
    await expect(store.put(endless(), { maxBytes: 1000 })).rejects.toMatchObject({ code: 'artifact.too_large' });
    expect(yielded).toBe(11);
  });

  it('clears away what an interrupted upload left', async () => {
    writeFileSync(path.join(directory, 'incoming', 'half'), 'half');
    await openArtifactStore(directory);
    expect(readdirSync(path.join(directory, 'incoming'))).toEqual([]);
  });

  it('leaves an upload of another process alone, until nobody has written to it for a day', async () => {
    const [fresh, old] = ['fresh', 'old'].map((name) => path.join(directory, 'incoming', name));
    for (const draft of [fresh ?? '', old ?? '']) writeFileSync(draft, 'half');
    const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000);
    utimesSync(old ?? '', twoDaysAgo, twoDaysAgo);
    await openArtifactStore(directory, { isShared: true });
    expect(readdirSync(path.join(directory, 'incoming'))).toEqual(['fresh']);
  });

  it('says so when the disk refuses', async () => {
    rmSync(path.join(directory, 'incoming'), { recursive: true });
    await expect(putContent()).rejects.toMatchObject({ code: 'store.write_failed' });
  });

  it('does not write through a link in place of a folder', async () => {
    const elsewhere = path.join(root, 'elsewhere');
    mkdirSync(elsewhere, { recursive: true });
    symlinkSync(elsewhere, path.join(directory, SHA.slice(0, 2)));
    await expect(putContent()).rejects.toMatchObject({ code: 'store.write_failed' });
    expect(readdirSync(elsewhere)).toEqual([]);
    expect(await store.has(SHA)).toBe(false);
  });

  it('removes, also what is not there', async () => {
    await putContent();
    await store.remove(SHA);
    await store.remove(SHA);
    expect(await store.has(SHA)).toBe(false);
    await expect(store.verify(SHA)).rejects.toMatchObject({ code: 'artifact.not_found' });
  });
});

describe('names', () => {
  it.each([
    '../../etc/passwd',
    `../${SHA}`,
    `${SHA.slice(0, 62)}/.`,
    `${SHA.slice(0, 60)}/../`,
    `${SHA}/../x`,
    `${SHA}\n`,
    `${SHA}\0`,
    SHA.toUpperCase(),
    SHA.slice(1),
    `${SHA}0`,
    '',
    '/',
    'g'.repeat(64),
    '．'.repeat(64),
  ])('refuses %j', async (name) => {
    const refusal = expect.objectContaining({ code: 'request.invalid' });
    expect(() => store.path(name)).toThrow(refusal);
    for (const operation of [store.has, store.verify, store.remove]) {
      await expect((async () => operation(name))()).rejects.toThrow(refusal);
    }
  });
});

describe('verifying', () => {
  const flipped = Buffer.from(CONTENT);
  flipped[5] = CONTENT.readUInt8(5) ^ 1;

  it.each([
    { name: 'truncated', content: CONTENT.subarray(0, -1) },
    { name: 'empty', content: Buffer.alloc(0) },
    { name: 'longer', content: Buffer.concat([CONTENT, Buffer.from('x')]) },
    { name: 'one bit flipped', content: flipped },
  ])('puts a file in quarantine that is not what it was: $name', async ({ content }) => {
    await putContent();
    replaceStored(content);
    await expect(store.verify(SHA)).rejects.toMatchObject({ code: 'artifact.checksum_mismatch' });
    expect(await store.has(SHA)).toBe(false);
    expect(readFileSync(`${store.path(SHA)}.quarantined`)).toEqual(content);
  });

  it('does not follow a link in place of the file, even to the right content', async () => {
    await putContent();
    const secret = path.join(directory, 'secret');
    renameSync(store.path(SHA), secret);
    symlinkSync(secret, store.path(SHA));
    expect(await store.has(SHA)).toBe(false);
    await expect(store.verify(SHA)).rejects.toMatchObject({ code: 'artifact.checksum_mismatch' });
    expect(existsSync(store.path(SHA))).toBe(false);
    expect(readFileSync(secret)).toEqual(CONTENT);
  });
});

async function* breakingOff(): AsyncGenerator<Uint8Array> {
  yield CONTENT;
  throw new Error('the sender went away');
}
