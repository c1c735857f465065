import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Snapshot } from '@understudy/core/snapshot';
import type { SnapshotFollower } from '@understudy/core/snapshot-follower';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openManualTime } from '../gateway/gateway-rig.contract.ts';
import { type ArtifactStore, openArtifactStore } from './artifact-store.ts';
import { type ArtifactCache, openArtifactCache } from './artifact-cache.ts';

const DAY_MS = 86_400_000;

const shaOf = (text: string): string => createHash('sha256').update(text).digest('hex');

let root: string;
let files: ArtifactStore;
let cache: ArtifactCache;
let downloads: string[];
let serve: (text: string | undefined, wanted: string) => string;
const logged: string[] = [];
let time: ReturnType<typeof openManualTime>;
beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'understudy-cache-'));
  files = await openArtifactStore(path.join(root, 'artifacts'));
  time = openManualTime(Date.now());
  downloads = [];
  logged.length = 0;
  serve = (text, wanted) => text ?? wanted;
  cache = openArtifactCache({
    files,
    download: async (sha256) => {
      downloads.push(sha256);
      const text = ['one', 'two', 'three'].find((known) => shaOf(known) === sha256);
      return (async function* () {
        yield Buffer.from(serve(text, sha256));
      })();
    },
    maxBytes: 1000,
    clock: time,
    timers: time,
    log: { info: (_fields, event) => logged.push(event), warn: (_fields, event) => logged.push(event) },
  });
});
afterEach(async () => {
  await cache.close();
  rmSync(root, { recursive: true });
});

/** A snapshot whose only model has versions of these contents, the first one champion. */
function snapshotOf(...texts: readonly string[]): Snapshot {
  const signature = { inputs: [], outputs: [], prediction: 'y' };
  const versions = texts.map((text) => ({
    version: text,
    source: { kind: 'onnx', sha256: shaOf(text), bytes: text.length, signature } as const,
  }));
  const upstream = { kind: 'upstream', url: 'http://model', protocol: 'predict', remoteModel: 'm' } as const;
  const models = [{ name: 'fraud', versions: [...versions, { version: 'far', source: upstream }] }];
  return { schema: 1, environment: 'production', revision: 1, models, tokens: [] } as unknown as Snapshot;
}

/** Follows snapshots through the cache. @returns hands one out */
function follow(refusal?: string): (snapshot: Snapshot) => void {
  let handOut: SnapshotFollower | undefined;
  cache
    .noticing({
      subscribe(follower) {
        handOut = follower;
        return () => undefined;
      },
    })
    .subscribe({ take: () => refusal, present: () => undefined, refuse: () => undefined });
  return (snapshot) => void handOut?.take(snapshot);
}

/** Lets days go by, each with a sweep. */
async function pass(days: number): Promise<void> {
  for (let day = 0; day < days; day += 1) {
    time.advance(DAY_MS);
    // The sweep reads the disk.
    await expect.poll(() => time.waiting, { interval: 1 }).toBe(1);
  }
}

const kept = async (): Promise<readonly string[]> => {
  const names = new Map(['one', 'two', 'three'].map((text) => [shaOf(text), text]));
  return (await files.list()).map(({ sha256 }) => names.get(sha256) ?? '?').toSorted();
};

describe('a model file', () => {
  it('is downloaded once, and checked each time', async () => {
    await cache.verify(shaOf('one'));
    expect(await cache.verify(shaOf('one'))).toMatchObject({ path: cache.path(shaOf('one')) });
    expect(downloads).toEqual([shaOf('one')]);
  });

  it('that is another one than was asked for is refused and not kept', async () => {
    serve = () => 'two';
    await expect(cache.verify(shaOf('one'))).rejects.toMatchObject({ code: 'artifact.checksum_mismatch' });
    expect(await kept()).toEqual([]);
  });

  it('is kept while a snapshot names it, and a week longer', async () => {
    const take = follow();
    for (const text of ['one', 'two', 'three']) await cache.verify(shaOf(text));
    take(snapshotOf('one', 'two', 'three'));
    await pass(30);
    expect(await kept()).toEqual(['one', 'three', 'two']);
    take(snapshotOf('two'));
    await pass(7);
    expect(await kept()).toEqual(['one', 'three', 'two']);
    await pass(1);
    expect(await kept()).toEqual(['two']);
    expect(logged).toEqual(['artifact.deleted', 'artifact.deleted']);
    await cache.verify(shaOf('one'));
    expect(await kept()).toEqual(['one', 'two']);
  });

  it.each([
    { name: 'no snapshot has come', take: undefined },
    { name: 'the only one was refused', take: 'poison' },
  ])('is kept as long as $name', async ({ take }) => {
    if (take !== undefined) follow(take)(snapshotOf('two'));
    await cache.verify(shaOf('one'));
    await files.touch(shaOf('one'), Date.now() - 30 * DAY_MS);
    await pass(3);
    expect(await kept()).toEqual(['one']);
  });
});
