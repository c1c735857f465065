/** The note beside a store that is a file: what time it was for the last process. `embedded-clock.ts` depends on it. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { TimeNote } from './embedded-clock.ts';

const Note = z.object({ bootId: z.string(), offsetMs: z.number() });

/** Which start of the machine this is; undefined where the system does not tell. Linux does. */
export function bootIdOf(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** A note that counts until the machine boots again; nothing is kept where that cannot be known. */
export function openTimeNote(file: string, bootId: string | undefined): TimeNote {
  return {
    recall() {
      try {
        const note = Note.parse(JSON.parse(readFileSync(file, 'utf8')));
        return note.bootId === bootId ? note.offsetMs : undefined;
      } catch {
        // Missing, or cut when the machine lost its power: it has booted since.
        return undefined;
      }
    },
    keep(offsetMs) {
      if (bootId === undefined) return;
      // Renamed into place, so that a process that is killed leaves the note of before.
      const draft = `${file}.${process.pid}`;
      try {
        writeFileSync(draft, `${JSON.stringify({ bootId, offsetMs })}\n`);
        renameSync(draft, file);
      } catch {
        // A full disk is no reason not to start; the note of before, if it is of the same start of the machine, still counts.
        rmSync(draft, { force: true });
      }
    },
  };
}
