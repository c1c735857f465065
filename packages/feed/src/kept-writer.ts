/** Writes to a storage one at a time, and only the newest of what waits. Whatever keeps last known values depends on it. */
import { sentenceOf, type TellFeedProblem } from './problem.ts';
import type { SnapshotStorage } from './snapshot-storage.ts';

export interface KeptWriter {
  /** Keeps a text soon; never throws. */
  write(text: string, id: string): void;
  /** Resolves when everything is kept or has failed. */
  idle(): Promise<void>;
}

export function openKeptWriter(storage: Pick<SnapshotStorage, 'write'> | undefined, tell: TellFeedProblem): KeptWriter {
  let waiting: { readonly text: string; readonly id: string } | undefined;
  let working: Promise<void> | undefined;
  const work = async (): Promise<void> => {
    while (waiting !== undefined) {
      const { text, id } = waiting;
      waiting = undefined;
      try {
        await storage?.write(text, id);
      } catch (error) {
        tell({ code: 'storage.failed', message: `what is new could not be kept for a cold start: ${sentenceOf(error)}` });
      }
    }
    working = undefined;
  };
  return {
    write(text, id) {
      waiting = { text, id };
      working ??= work();
    },
    idle: () => working ?? Promise.resolve(),
  };
}
