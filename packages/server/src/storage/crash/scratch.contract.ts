/** Folders for tests that leave a disk in many states: one under another, gone with the tests of the file. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';

/** @returns makes a folder that is empty */
export function openScratch(name: string): () => string {
  const root = mkdtempSync(path.join(tmpdir(), `understudy-${name}-`));
  afterAll(() => rmSync(root, { recursive: true }));
  let directories = 0;
  return () => {
    const directory = path.join(root, String((directories += 1)));
    mkdirSync(directory);
    return directory;
  };
}
