// Installs something into the cache folder once for each content of its list of versions.
import { createHash } from 'node:crypto';
import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './folders.ts';
import { MissingDependency } from './missing-dependency.ts';

export interface Installation {
  readonly name: string;
  /** A change in this file installs anew, beside what was there. */
  readonly versionsFile: string;
  readonly install: (folder: string) => Promise<void>;
  /** What the machine must have for `install` to succeed, for the message when it does not. */
  readonly needs: string;
}

/** @returns the folder that holds it */
export async function ensureInstalled({ name, versionsFile, install, needs }: Installation): Promise<string> {
  const fingerprint = createHash('sha256')
    .update(await readFile(versionsFile))
    .digest('hex')
    .slice(0, 12);
  const folder = await cacheFolder(`${name}-${fingerprint}`);
  // Written last, so that an interrupted installation is done again.
  const marker = join(folder, 'installed');
  if (await exists(marker)) return folder;
  try {
    await install(folder);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MissingDependency(`cannot install ${name}, which needs ${needs}: ${reason}`, { cause });
  }
  await writeFile(marker, '');
  return folder;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
