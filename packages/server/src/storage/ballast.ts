/** Reserved disk space: given back when the disk is full, so that the changes that matter most still commit. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { randomFillSync } from 'node:crypto';
import path from 'node:path';

/** Room for some thousand commits, and small enough for the smallest volume. */
export const BALLAST_BYTES = 16 * 1024 * 1024;

export interface Ballast {
  readonly isHeld: () => boolean;
  /** Gives the space back; false when there was none to give. */
  readonly release: () => boolean;
  /** Reserves the space again when it is released and the disk has twice as much free; whether it is held now. */
  readonly restore: () => boolean;
}

/** Reserves `bytes` in `file`; 0 reserves nothing and counts as held. */
export function openBallast(file: string, bytes: number): Ballast {
  let held = bytes === 0 || existsSync(file);
  const ballast: Ballast = {
    isHeld: () => held,
    release: () => {
      if (!held || bytes === 0) return false;
      rmSync(file, { force: true });
      held = false;
      return true;
    },
    restore: () => {
      if (held) return true;
      const { bavail, bsize } = statfsSync(path.dirname(file));
      held = bavail * bsize >= 2 * bytes && reserve(file, bytes);
      return held;
    },
  };
  ballast.restore();
  return ballast;
}

function reserve(file: string, bytes: number): boolean {
  const draft = `${file}.draft`;
  try {
    const handle = openSync(draft, 'w', 0o600);
    try {
      // Random, because a file system that compresses would reserve next to nothing for zeros.
      const chunk = randomFillSync(Buffer.alloc(Math.min(bytes, 1024 * 1024)));
      for (let written = 0; written < bytes;) written += writeSync(handle, chunk, 0, Math.min(chunk.length, bytes - written));
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(draft, file);
    return true;
  } catch {
    // No room yet. The store says so by refusing evidence, and tries again with the next report.
    rmSync(draft, { force: true });
    return false;
  }
}
