/** The contract of two control planes on one server: whatever both do, it happens once and both see it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decide, ENVIRONMENT, put, reportOf } from './samples.contract.ts';
import type { Store } from './store.ts';

/** @param open two stores on the same empty server */
export function testTwoPlanes(name: string, open: () => Promise<readonly [Store, Store]>): void {
  describe(`${name}: two planes`, () => {
    let [left, right]: readonly Store[] = [];
    const planes = (): readonly [Store, Store] => {
      if (left === undefined || right === undefined) throw new Error('not open');
      return [left, right];
    };
    beforeEach(async () => {
      [left, right] = await open();
    });
    afterEach(async () => {
      for (const plane of planes()) await plane.close();
    });

    it('lets every increment of racing planes count once, in one unbroken journal', async () => {
      const increments = 40;
      await planes()[0].commit(put('counter', 0, 0));
      const increment = async (plane: Store): Promise<void> => {
        const read = await plane.read(ENVIRONMENT, 'model', 'counter');
        const result = await plane.commit(put('counter', read?.revision ?? 0, Number(read?.body) + 1));
        if (result.outcome !== 'committed') await increment(plane);
      };
      const climb = async (plane: Store): Promise<void> => {
        for (let n = 0; n < increments / 2; n += 1) await increment(plane);
      };
      await Promise.all(planes().map(climb));
      for (const plane of planes()) {
        expect((await plane.read(ENVIRONMENT, 'model', 'counter'))?.body).toBe(increments);
        expect(await plane.verifyJournal(ENVIRONMENT)).toMatchObject({ intact: true, entries: increments + 1 });
      }
    });

    it('decides each window of a rollout once', async () => {
      for (let window = 0; window < 20; window += 1) {
        const results = await Promise.all(
          planes().map((plane, n) => plane.commit(decide('r1', window, { actor: `plane-${n}` }))),
        );
        expect(results.map(({ outcome }) => outcome).toSorted()).toEqual(['already-decided', 'committed']);
      }
      expect(await planes()[1].decisions(ENVIRONMENT, 'r1', 100)).toHaveLength(20);
    });

    it('does it once when both are asked with one key', async () => {
      const commit = { ...put('fraud', 0, 1), idempotency: { key: 'k', request: 'd', answer: { done: 1 } } };
      const results = await Promise.all(planes().map((plane) => plane.commit(commit)));
      expect(results.map(({ outcome }) => outcome).toSorted()).toEqual(['committed', 'replayed']);
      expect(await planes()[0].revision(ENVIRONMENT)).toBe(1);
    });

    it('stores a report once that both are sent', async () => {
      const results = await Promise.all(planes().map((plane) => plane.appendReport(ENVIRONMENT, reportOf(1), 5)));
      expect(results.toSorted()).toEqual(['duplicate', 'stored']);
    });

    it('hints at commits of the other plane', async () => {
      const [one, other] = planes();
      const heard: [string, number][] = [];
      other.onCommit((environment, revision) => heard.push([environment, revision]));
      // The first ones may come before it listens: a hint is not a promise.
      let revision = 0;
      await expect
        .poll(async () => {
          await one.commit(put('fraud', revision, revision));
          revision += 1;
          return heard.length;
        })
        .toBeGreaterThan(0);
      expect(heard[0]?.[0]).toBe(ENVIRONMENT);
    });
  });
}
