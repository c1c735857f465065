/** Reports that wait to be sent: bounded in number and size, taken in batches that the server takes. */

/** One report. */
export interface QueuedEntry {
  readonly kind: 'observation' | 'count';
  readonly atMs: number;
  readonly text: string;
}

export interface OutcomeQueue {
  readonly size: number;
  /** @returns whether there was room */
  add(entry: QueuedEntry): boolean;
  /** The oldest ones, as many as fit into a batch. */
  take(): readonly QueuedEntry[];
  /** @returns how many there were */
  clear(): number;
}

// The server takes 10 000 observations, 1000 counts and 4 MiB; a character is at most three bytes.
const BATCH = { entries: 5000, counts: 1000, length: 1024 * 1024 } as const;
// So many characters are at most 16 MiB of memory.
const MAX_LENGTH = 8 * 1024 * 1024;

export function openOutcomeQueue(maxEntries: number): OutcomeQueue {
  let entries: QueuedEntry[] = [];
  let length = 0;
  return {
    get size() {
      return entries.length;
    },
    add(entry) {
      if (entries.length >= maxEntries || length + entry.text.length > MAX_LENGTH) return false;
      entries.push(entry);
      length += entry.text.length;
      return true;
    },
    take() {
      let [end, counts, size] = [0, 0, 0];
      for (const { kind, text } of entries) {
        counts += kind === 'count' ? 1 : 0;
        size += text.length;
        if (end >= BATCH.entries || counts > BATCH.counts || (size > BATCH.length && end > 0)) break;
        end += 1;
      }
      const batch = entries.slice(0, end);
      entries = entries.slice(end);
      for (const { text } of batch) length -= text.length;
      return batch;
    },
    clear() {
      const count = entries.length;
      entries = [];
      length = 0;
      return count;
    },
  };
}
