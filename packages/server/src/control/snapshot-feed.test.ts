import type { Snapshot } from '@understudy/core/snapshot';
import type { SnapshotFollower } from '@understudy/core/snapshot-follower';
import { beforeEach, describe, expect, it } from 'vitest';
import { killModel, promoteVersion } from '../commands/models.ts';
import { HUMAN, openTestWorld, type TestWorld } from '../commands/test-world.ts';
import { systemClock } from '../clock.ts';
import { systemTimers } from '../gateway/timers.ts';
import { type FeedOptions, openSnapshotFeed, type SnapshotFeed } from './snapshot-feed.ts';

let world: TestWorld;
let feed: SnapshotFeed;
let seen: Snapshot[];
let confirmed: number[];
let failures: unknown[];
const feedOptions = (store: FeedOptions['store']) => ({
  store,
  environment: 'production',
  clock: systemClock,
  timers: systemTimers,
});
const follower: SnapshotFollower = {
  take: (snapshot) => void seen.push(snapshot),
  present: (revision) => void confirmed.push(revision),
  refuse: (reason) => void failures.push(reason),
};
beforeEach(async () => {
  world = await openTestWorld();
  seen = [];
  confirmed = [];
  failures = [];
  feed = await openSnapshotFeed({ ...feedOptions(world.store), onFailure: (error) => failures.push(error) });
});

describe('the snapshot feed', () => {
  it('gives the present snapshot at once, and a new one after each commit', async () => {
    feed.subscribe(follower);
    expect(seen.map((snapshot) => snapshot.models[0]?.champion)).toEqual(['v1']);
    await promoteVersion(world.context, HUMAN, { model: 'fraud', version: 'v2', reason: 'better' });
    await feed.refresh();
    expect(seen.map((snapshot) => snapshot.models[0]?.champion)).toEqual(['v1', 'v2']);
    expect(seen.at(-1)?.revision).toBe(await world.store.revision('production'));
  });

  it('says nothing when nothing has changed', async () => {
    feed.subscribe(follower);
    await feed.refresh();
    await feed.refresh();
    expect(seen).toHaveLength(1);
    expect(confirmed).toEqual([seen[0]?.revision, seen[0]?.revision]);
  });

  it('never goes back in revisions, however many commits come at once', async () => {
    feed.subscribe(follower);
    await Promise.all(
      ['v2', 'v3'].map((version) => promoteVersion(world.context, HUMAN, { model: 'fraud', version, reason: 'r' })),
    );
    await killModel(world.context, HUMAN, { model: 'fraud', reason: 'fire' });
    await feed.refresh();
    const revisions = seen.map((snapshot) => snapshot.revision);
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    expect(seen.at(-1)?.models[0]?.isKilled).toBe(true);
  });

  it('ends with its subscription, and with itself', async () => {
    const unsubscribe = feed.subscribe(follower);
    unsubscribe();
    feed.subscribe(follower);
    feed.close();
    await promoteVersion(world.context, HUMAN, { model: 'fraud', version: 'v2', reason: 'better' });
    await feed.refresh();
    expect(seen).toHaveLength(2);
  });

  it('keeps what it has and says so when the store does not answer, and catches up later', async () => {
    let isDown = false;
    const store = {
      ...world.store,
      revision: (environment: string) => (isDown ? Promise.reject(new Error('gone')) : world.store.revision(environment)),
    };
    feed = await openSnapshotFeed({ ...feedOptions(store), onFailure: (error) => failures.push(error) });
    feed.subscribe(follower);
    isDown = true;
    await promoteVersion(world.context, HUMAN, { model: 'fraud', version: 'v2', reason: 'better' });
    await feed.refresh();
    expect([seen.length, failures.length > 0]).toEqual([1, true]);
    isDown = false;
    await feed.refresh();
    expect(seen.at(-1)?.models[0]?.champion).toBe('v2');
  });
});
