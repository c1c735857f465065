/** The kill switch of this gateway alone, for whoever is on its machine. It works with everything else dead, and survives a restart. */
import { parseJson } from '@understudy/contract/parsed-json';
import { LocalKillSchema } from '@understudy/contract/report';
import { AppError } from '@understudy/core/errors';
import type { LocalKill } from '@understudy/core/local-kill';
import { openKeptWriter } from '@understudy/feed/kept-writer';
import type { TellFeedProblem } from '@understudy/feed/problem';
import type { SnapshotStorage } from '@understudy/feed/snapshot-storage';
import { z } from 'zod';

export interface LocalSwitch {
  kills(): readonly LocalKill[];
  /** In force when it returns. @returns whether it was not killed here before */
  kill(kill: LocalKill): boolean;
  /** @returns whether it was killed here */
  unkill(model: string): boolean;
  /** Calls back after each change. */
  onChange(listener: () => void): void;
  /** Resolves when what is in force is kept, or could not be. */
  idle(): Promise<void>;
}

const Kept = z.strictObject({ kills: z.array(LocalKillSchema) });

/**
 * Begins with what was in force before a restart.
 * @throws AppError `config.invalid` when that cannot be read: a gateway that forgot a kill would send users where nobody wants them
 */
export async function openLocalSwitch(storage: SnapshotStorage, tell: TellFeedProblem): Promise<LocalSwitch> {
  const writer = openKeptWriter(storage, tell);
  let kills: readonly LocalKill[] = await readKills(storage);
  let listener: () => void = () => {};
  const set = (next: readonly LocalKill[]): void => {
    kills = next;
    listener();
    const text = JSON.stringify({ kills });
    writer.write(text, text);
  };
  return {
    kills: () => kills,
    kill(kill) {
      if (kills.some(({ model }) => model === kill.model)) return false;
      set([...kills, kill]);
      return true;
    },
    unkill(model) {
      const rest = kills.filter((kill) => kill.model !== model);
      if (rest.length === kills.length) return false;
      set(rest);
      return true;
    },
    onChange(next) {
      listener = next;
    },
    idle: () => writer.idle(),
  };
}

async function readKills(storage: SnapshotStorage): Promise<readonly LocalKill[]> {
  const { texts, problems } = await storage.read();
  for (const text of texts) {
    const parsed = Kept.safeParse(parseJson(text));
    // The generation before may lack the newest kill.
    if (parsed.success && problems.length === 0) return parsed.data.kills;
  }
  if (texts.length === 0 && problems.length === 0) return [];
  throw new AppError(
    'config.invalid',
    `cannot read which models are killed on this gateway: ${[...problems, 'what was kept is not readable'][0]}; look at the files, or delete them and kill again what must stay killed`,
  );
}
