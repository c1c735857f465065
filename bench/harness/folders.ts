// Where the benchmarks read and write: the repository, and a cache folder that git ignores.
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

export const REPOSITORY_FOLDER = resolve(import.meta.dirname, '../..');
export const RIVALS_FOLDER = join(REPOSITORY_FOLDER, 'bench/rivals');

/** Creates the folder when it is missing; what is in it survives between runs. */
export async function cacheFolder(name: string): Promise<string> {
  const folder = join(REPOSITORY_FOLDER, '.cache/bench', name);
  await mkdir(folder, { recursive: true });
  return folder;
}
