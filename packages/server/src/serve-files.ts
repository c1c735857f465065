/** Files of the data directory that are neither database nor artifact: the key that signs request ids. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@understudy/core/errors';

const KEY_BYTES = 32;

/**
 * The key that signs request ids, made at the first start and kept readable for the owner only. It must outlive the
 * process: feedback that arrives days later is attributed by ids signed with it.
 * @throws AppError `config.invalid` when the file is not a key
 */
export async function requestIdKey(directory: string): Promise<Uint8Array> {
  const path = join(directory, 'request-id.key');
  await mkdir(directory, { recursive: true });
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(randomBytes(KEY_BYTES));
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const key = await readFile(path);
  if (key.length === KEY_BYTES) return key;
  throw new AppError(
    'config.invalid',
    `${path} has ${key.length} bytes instead of ${KEY_BYTES}; restore it from a backup, or delete it to get a new key (older request ids are then unknown)`,
  );
}
