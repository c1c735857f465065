/** Model files by their sha256. A path is made of a digest alone, never of a text that somebody sent. Upload and runtimes depend on it. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError, isAppError } from '@understudy/core/errors';

/** A file that is stored. */
export interface StoredArtifact {
  readonly sha256: string;
  readonly bytes: number;
  readonly path: string;
}

export interface ArtifactStore {
  /**
   * Stores a stream under its digest; the same content again changes nothing.
   * @throws AppError `artifact.empty`, `artifact.too_large`, `store.write_failed`
   */
  put(bytes: AsyncIterable<Uint8Array>, limits: { readonly maxBytes: number }): Promise<StoredArtifact>;
  /** Where the file of a digest is, or would be. Throws a plain Error for anything but 64 hexadecimal digits. */
  path(sha256: string): string;
  has(sha256: string): Promise<boolean>;
  /**
   * Reads the whole file and compares it with its digest; a file that differs is put aside.
   * @throws AppError `artifact.not_found`, `artifact.checksum_mismatch`
   */
  verify(sha256: string): Promise<StoredArtifact>;
  remove(sha256: string): Promise<void>;
}

/** Opens the directory, which is created when it does not exist, and deletes what interrupted uploads left. */
export async function openArtifactStore(directory: string): Promise<ArtifactStore> {
  const incoming = join(directory, 'incoming');
  await mkdir(incoming, { recursive: true });
  for (const name of await readdir(incoming)) await rm(join(incoming, name), { force: true });

  function path(sha256: string): string {
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Error('not a sha256');
    return join(directory, sha256.slice(0, 2), sha256);
  }

  async function has(sha256: string): Promise<boolean> {
    return (await sizeOf(path(sha256))) !== undefined;
  }

  return {
    path,
    has,
    async put(bytes, { maxBytes }) {
      const temporary = join(incoming, randomUUID());
      try {
        const written = await writeAndHash(temporary, bytes, maxBytes);
        const final = path(written.sha256);
        await mkdir(dirname(final), { recursive: true });
        await rename(temporary, final);
        await syncDirectory(dirname(final));
        return { ...written, path: final };
      } catch (error) {
        await rm(temporary, { force: true });
        throw isAppError(error) ? error : writeError(error);
      }
    },
    async verify(sha256) {
      const file = path(sha256);
      if (!(await has(sha256)))
        throw new AppError('artifact.not_found', `no file with sha256 ${sha256} is stored; upload it first`);
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const chunk of createReadStream(file)) {
        const data: Buffer = chunk;
        hash.update(data);
        bytes += data.length;
      }
      if (hash.digest('hex') === sha256) return { sha256, bytes, path: file };
      await rename(file, `${file}.quarantined`);
      throw new AppError(
        'artifact.checksum_mismatch',
        `the stored file ${sha256} has been changed and was put aside; upload the original again`,
      );
    },
    async remove(sha256) {
      await rm(path(sha256), { force: true });
    },
  };
}

async function writeAndHash(
  file: string,
  bytes: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Pick<StoredArtifact, 'sha256' | 'bytes'>> {
  const hash = createHash('sha256');
  let written = 0;
  const handle = await open(file, 'wx', 0o600);
  try {
    for await (const chunk of bytes) {
      written += chunk.length;
      if (written > maxBytes)
        throw new AppError('artifact.too_large', `the file has more than the ${maxBytes} bytes that are taken`);
      hash.update(chunk);
      await handle.writeFile(chunk);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (written === 0) throw new AppError('artifact.empty', 'the file is empty');
  return { sha256: hash.digest('hex'), bytes: written };
}

/** Undefined for what is not a plain file: a link could lead anywhere. */
async function sizeOf(file: string): Promise<number | undefined> {
  try {
    const stat = await lstat(file);
    return stat.isFile() ? stat.size : undefined;
  } catch {
    return undefined;
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function writeError(error: unknown): AppError {
  const why = error instanceof Error ? error.message : String(error);
  return new AppError('store.write_failed', `the file could not be stored (${why}); is the disk full?`, { cause: error });
}
