/** Watches champions outside and inside of rollouts, and sends a failing one back to its last known good version. */
import { isAppError } from '@understudy/core/errors';
import type { Model } from '@understudy/core/model';
import type { Verdict } from '@understudy/core/policy';
import { absorbWatch, judgeWatch, openWatch, settleWatch, type WatchFinding, type WatchState } from '@understudy/core/watch';
import type { CommandContext } from '../commands/command.ts';
import { rollBackModel } from '../commands/models.ts';
import { getModel, getVersions } from '../commands/queries.ts';
import type { Receipt } from '../commands/receipt.ts';
import { readEvidence } from '../commands/evidence-reader.ts';

/** What a look at a champion came to. */
export type WatchOutcome =
  | { readonly outcome: 'quiet'; readonly finding: WatchFinding }
  | { readonly outcome: 'rolled-back'; readonly finding: WatchFinding; readonly receipt: Receipt }
  | { readonly outcome: 'nobody-left'; readonly finding: WatchFinding; readonly message: string };

export interface ChampionWatch {
  /**
   * Judges the champion and acts on it.
   * @param rolloutVerdict what a live rollout of the model says: an outage that hits both arms blames nobody
   */
  check(model: string, rolloutVerdict: Verdict | undefined): Promise<WatchOutcome | undefined>;
  /** The present finding, without acting; undefined without a champion. */
  lookAt(model: string): Promise<WatchFinding | undefined>;
}

interface Watched {
  state: WatchState;
  cursor: number;
  reading: Promise<void>;
}

// After a restart the window refills from at most this much of the past; older requests say nothing about now.
const LOOK_BACK_MS = 3_600_000;

export function openChampionWatch(context: CommandContext): ChampionWatch {
  const watched = new Map<string, Watched>();

  function watchedOf(model: Model): Watched | undefined {
    const fresh = openWatch(model);
    if (fresh === undefined) return undefined;
    const known = watched.get(model.name);
    if (known !== undefined && known.state.version === fresh.version && known.state.fromMs === fresh.fromMs) return known;
    const opened = { state: fresh, cursor: 0, reading: Promise.resolve() };
    watched.set(model.name, opened);
    return opened;
  }

  async function find(model: Model): Promise<WatchFinding | undefined> {
    const entry = watchedOf(model);
    if (entry === undefined) return undefined;
    const version = (await getVersions(context, model.name)).find((one) => one.version === entry.state.version);
    if (version === undefined) return undefined;
    const readOn = async (): Promise<void> => {
      // Taken before reading: what is stored meanwhile may be missed, and must not belong to a time that was judged.
      const atMs = context.clock.nowMs();
      const sinceMs = Math.max(entry.state.fromMs, atMs - LOOK_BACK_MS);
      await readEvidence(context, { model: model.name, sinceMs, afterCursor: entry.cursor }, (stored, cursor) => {
        entry.state = absorbWatch(model, entry.state, stored);
        entry.cursor = cursor;
      });
      entry.state = settleWatch(model, version, { state: entry.state, atMs });
    };
    entry.reading = entry.reading.then(readOn, readOn);
    await entry.reading;
    return judgeWatch(model, version, { state: entry.state, atMs: context.clock.nowMs() });
  }

  return {
    async lookAt(name) {
      return find(await getModel(context, name));
    },
    async check(name, rolloutVerdict) {
      const model = await getModel(context, name);
      const finding = await find(model);
      if (finding === undefined || model.champion === undefined) return undefined;
      if (finding.state !== 'violated' || rolloutVerdict === 'champion-sick') return { outcome: 'quiet', finding };
      try {
        const wish = { model: name, version: model.champion, reason: finding.reason };
        return { outcome: 'rolled-back', finding, receipt: await rollBackModel(context, { actor: 'engine' }, wish) };
      } catch (error) {
        if (!isAppError(error, 'rollback.no_target')) throw error;
        return { outcome: 'nobody-left', finding, message: error.message };
      }
    },
  };
}
