/** Remembers payloads by their id, so that one which an SDK sends again counts once. */

export interface SeenPayloads {
  /** Does the work unless it was done under this id, or is being done; a failure is forgotten, as the SDK will try again. */
  once(id: string, work: () => Promise<void>): Promise<void>;
}

/** @param most the oldest ids beyond it are forgotten: SDKs repeat after one second, and only once */
export function rememberPayloads(most: number): SeenPayloads {
  const seen = new Map<string, Promise<void>>();
  return {
    once(id, work) {
      const known = seen.get(id);
      if (known !== undefined) return known;
      const done = work().catch((error: unknown) => {
        seen.delete(id);
        throw error;
      });
      seen.set(id, done);
      const [oldest] = seen.keys();
      if (seen.size > most && oldest !== undefined) seen.delete(oldest);
      return done;
    },
  };
}
