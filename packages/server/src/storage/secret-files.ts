/** Secrets of a store that is a file: files beside it, readable for their owner only. */
import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@understudy/core/errors';
import type { SecretKeeper } from './secret-keeper.ts';
import type { SecretFiles } from './sqlite-dump.ts';

const SUFFIX = '.key';

/** @param directory made when needed */
export function openSecretFiles(directory: string): SecretKeeper {
  return {
    async keepSecret(name, proposed) {
      const path = join(directory, `${name}${SUFFIX}`);
      await mkdir(directory, { recursive: true });
      try {
        const file = await open(path, 'wx', 0o600);
        try {
          await file.writeFile(proposed);
          await file.sync();
        } finally {
          await file.close();
        }
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      }
      return readFile(path);
    },
  };
}

/** Reads and replaces the files, for copies and backups. */
export function secretFilesOf(directory: string): SecretFiles {
  return {
    async read() {
      const names = (await readdir(directory)).filter((name) => name.endsWith(SUFFIX)).toSorted();
      return Promise.all(
        names.map(async (name) => {
          const value = await readFile(join(directory, name), 'base64');
          return { name: name.slice(0, -SUFFIX.length), value };
        }),
      );
    },
    async write(name, value) {
      // A user's text never becomes a path, and neither does that of a file.
      if (!/^[a-z][a-z-]{0,62}$/.test(name)) throw new AppError('store.corrupt', `"${name}" is not the name of a secret`);
      const draft = join(directory, `${name}${SUFFIX}.draft`);
      const file = await open(draft, 'w', 0o600);
      try {
        await file.writeFile(Buffer.from(value, 'base64'));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, join(directory, `${name}${SUFFIX}`));
    },
  };
}
