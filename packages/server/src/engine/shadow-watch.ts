/** Keeps the ledgers of standing shadows, filled from the store. The API shows what they find; nothing is decided on it. */
import type { Model } from '@understudy/core/model';
import { LOOK_BACK_MS } from '@understudy/core/rollout-ledger';
import { openShadowLedger, type ShadowFinding, type ShadowLedger } from '@understudy/core/shadow-ledger';
import type { CommandContext } from '../commands/command.ts';
import { readEvidence } from '../commands/evidence-reader.ts';
import { getVersions } from '../commands/queries.ts';

export interface ShadowWatch {
  /** What the standing shadow of a model has come to; undefined when it has none, or no champion to compare with. */
  lookAt(model: Model): Promise<ShadowFinding | undefined>;
}

interface Watched {
  readonly key: string;
  readonly ledger: ShadowLedger;
  cursor: number;
  reading: Promise<number>;
}

/** One ledger a model, begun anew when its shadow or its champion is another. After a restart the evidence is read again. */
export function openShadowWatch(context: CommandContext): ShadowWatch {
  const watched = new Map<string, Watched>();

  async function open(model: Model, champion: string, shadow: NonNullable<Model['shadow']>): Promise<Watched> {
    const { version, percent, sinceMs } = shadow;
    const key = JSON.stringify([champion, version, percent, sinceMs]);
    const known = watched.get(model.name);
    if (known?.key === key) return known;
    const versions = await getVersions(context, model.name);
    const bins = versions.find((one) => one.version === champion)?.baseline?.distribution?.bins;
    const ledger = openShadowLedger({ model: model.name, champion, shadow, bins });
    const opened = { key, ledger, cursor: 0, reading: Promise.resolve(0) };
    watched.set(model.name, opened);
    return opened;
  }

  return {
    async lookAt(model) {
      const { champion, shadow } = model;
      if (champion === undefined || shadow === undefined) {
        watched.delete(model.name);
        return undefined;
      }
      const entry = await open(model, champion, shadow);
      const readOn = async (): Promise<number> => {
        // Taken before reading: what is stored meanwhile may be missed, and must not belong to a time that was judged.
        const atMs = context.clock.nowMs();
        const source = { model: model.name, sinceMs: shadow.sinceMs - LOOK_BACK_MS, afterCursor: entry.cursor };
        await readEvidence(context, source, (stored, cursor) => {
          entry.ledger.add(stored);
          entry.cursor = cursor;
        });
        return atMs;
      };
      entry.reading = entry.reading.then(readOn, readOn);
      return entry.ledger.lookAt(await entry.reading);
    },
  };
}
