/** Model files by their SHA-256: written once, whole or not at all, and never under a name that a user chose. */
import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, utimes } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '@understudy/core/errors';

/** A file as stored. */
export interface StoredArtifact {
  readonly sha256: string;
  readonly bytes: number;
  readonly path: string;
}

export interface ArtifactStore {
  /**
   * Stores a stream and names it by its digest. The same content twice is one file, and not new the second time.
   * @throws AppError `artifact.too_large`, `artifact.empty`, or `store.write_failed` when the disk refuses
   */
  readonly put: (
    stream: AsyncIterable<Uint8Array>,
    limits: { readonly maxBytes: number },
  ) => Promise<StoredArtifact & { readonly isNew: boolean }>;
  /**
   * Where a file is, or would be. Checks nothing but the digest's form.
   * @throws AppError `request.invalid` on anything but 64 lower-case hexadecimal digits
   */
  readonly path: (sha256: string) => string;
  readonly has: (sha256: string) => Promise<boolean>;
  /**
   * Reads the whole file again. A file that is not what its name says is renamed to `….quarantined`, and never served.
   * @throws AppError `artifact.not_found`, `artifact.checksum_mismatch`
   */
  readonly verify: (sha256: string) => Promise<StoredArtifact>;
  readonly remove: (sha256: string) => Promise<void>;
  /** All that are stored, with the time at which they were stored or {@link ArtifactStore.touch} was called last. */
  readonly list: () => Promise<readonly { readonly sha256: string; readonly touchedAtMs: number }[]>;
  readonly touch: (sha256: string, atMs: number) => Promise<void>;
}

const READ_BYTES = 1024 * 1024;

// No upload takes longer; until then a draft may be that of another process.
const DRAFT_LIVES_MS = 86_400_000;

/**
 * Opens the store in a directory, which is created when needed, and clears away what an interrupted upload left.
 * @param isShared other processes may be uploading into the same directory: only drafts that nobody has written to for a
 *   day are cleared away
 */
export async function openArtifactStore(directory: string, { isShared = false } = {}): Promise<ArtifactStore> {
  const root = path.resolve(directory);
  const incoming = path.join(root, 'incoming');
  await onDisk(`clear "${incoming}"`, async () => {
    if (isShared) await removeOldDrafts(incoming);
    else await rm(incoming, { recursive: true, force: true });
    await mkdir(incoming, { recursive: true, mode: 0o700 });
  });
  const pathOf = (sha256: string) => {
    if (!/^[0-9a-f]{64}$/.test(sha256)) {
      throw new AppError('request.invalid', 'a file is named by the 64 lower-case hexadecimal digits of its SHA-256');
    }
    return path.join(root, sha256.slice(0, 2), sha256);
  };
  return {
    path: pathOf,
    has: (sha256) => isPlainFile(pathOf(sha256)),
    verify: (sha256) => verify(pathOf(sha256), sha256),
    put: (stream, { maxBytes }) => put(stream, { root, draft: path.join(incoming, randomUUID()), maxBytes, pathOf }),
    remove: async (sha256) => {
      const file = pathOf(sha256);
      await onDisk(`remove "${file}"`, () => rm(file, { force: true }));
    },
    list: () => onDisk(`list "${root}"`, () => listIn(root)),
    touch: async (sha256, atMs) => {
      const file = pathOf(sha256);
      await onDisk(`touch "${file}"`, () => utimes(file, atMs / 1000, atMs / 1000));
    },
  };
}

async function listIn(root: string) {
  const found: { sha256: string; touchedAtMs: number }[] = [];
  for (const folder of await readdir(root)) {
    if (!/^[0-9a-f]{2}$/.test(folder)) continue;
    for (const sha256 of await readdir(path.join(root, folder))) {
      const stat = await statOf(path.join(root, folder, sha256));
      if (/^[0-9a-f]{64}$/.test(sha256) && stat?.isFile() === true) found.push({ sha256, touchedAtMs: stat.mtimeMs });
    }
  }
  return found;
}

async function removeOldDrafts(incoming: string): Promise<void> {
  const names = (await exists(incoming)) ? await readdir(incoming) : [];
  for (const name of names) {
    const draft = path.join(incoming, name);
    const found = await statOf(draft);
    if (found !== undefined && Date.now() - found.mtimeMs > DRAFT_LIVES_MS) await rm(draft, { force: true });
  }
}

interface Upload {
  readonly root: string;
  readonly draft: string;
  readonly maxBytes: number;
  readonly pathOf: (sha256: string) => string;
}

async function put(
  stream: AsyncIterable<Uint8Array>,
  { root, draft, maxBytes, pathOf }: Upload,
): Promise<StoredArtifact & { readonly isNew: boolean }> {
  try {
    const { sha256, bytes } = await writeDraft(stream, draft, maxBytes);
    const file = pathOf(sha256);
    const isNew = !(await isPlainFile(file));
    await onDisk(`store "${file}"`, async () => {
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      if (!(await lstat(path.dirname(file))).isDirectory()) throw new Error(`"${path.dirname(file)}" is not a directory`);
      // Also over a file that is there: the new one was hashed a moment ago, the old one may have rotted.
      await rename(draft, file);
      await syncDirectory(path.dirname(file));
      await syncDirectory(root);
    });
    return { sha256, bytes, path: file, isNew };
  } finally {
    await rm(draft, { force: true });
  }
}

/** Streams into a file on stable storage. Errors of the stream itself pass unchanged: they are the sender's. */
async function writeDraft(stream: AsyncIterable<Uint8Array>, draft: string, maxBytes: number) {
  const hash = createHash('sha256');
  let bytes = 0;
  const handle = await onDisk(`create "${draft}"`, () => open(draft, 'wx', 0o400));
  try {
    for await (const chunk of stream) {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        throw new AppError(
          'artifact.too_large',
          `cannot store a file of more than ${maxBytes} bytes; raise the limit in the server's configuration, or serve the model yourself and register its address`,
        );
      }
      hash.update(chunk);
      await onDisk(`write "${draft}"`, () => handle.writeFile(chunk));
    }
    if (bytes === 0)
      throw new AppError('artifact.empty', 'cannot store a file without content; send the bytes of the model file');
    await onDisk(`sync "${draft}"`, () => handle.sync());
  } finally {
    await handle.close();
  }
  return { sha256: hash.digest('hex'), bytes };
}

async function verify(file: string, sha256: string): Promise<StoredArtifact> {
  if (!(await exists(file))) {
    throw new AppError('artifact.not_found', `no file with sha256 ${sha256} is stored; upload it again`);
  }
  const found = await digestOf(file);
  if (found?.sha256 === sha256) return { ...found, path: file };
  await onDisk(`quarantine "${file}"`, async () => {
    await rename(file, `${file}.quarantined`);
    await syncDirectory(path.dirname(file));
  });
  const problem = found === undefined ? 'is not a plain file' : `has ${found.bytes} bytes with sha256 ${found.sha256}`;
  throw new AppError(
    'artifact.checksum_mismatch',
    `the file stored as ${sha256} ${problem}; it was moved to "${file}.quarantined": check the disk and who writes to it, and upload the file again`,
  );
}

/** Undefined for what is not a plain file: a link could lead anywhere. */
async function digestOf(file: string): Promise<{ readonly sha256: string; readonly bytes: number } | undefined> {
  if (!(await isPlainFile(file))) return undefined;
  const handle = await onDisk(`read "${file}"`, () => open(file, constants.O_RDONLY | constants.O_NOFOLLOW));
  try {
    return await onDisk(`read "${file}"`, () => digestOfHandle(handle));
  } finally {
    await handle.close();
  }
}

async function digestOfHandle(handle: FileHandle) {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(READ_BYTES);
  let bytes = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, bytes);
    if (bytesRead === 0) return { sha256: hash.digest('hex'), bytes };
    hash.update(buffer.subarray(0, bytesRead));
    bytes += bytesRead;
  }
}

async function isPlainFile(file: string): Promise<boolean> {
  const [own, folder] = await Promise.all([statOf(file), statOf(path.dirname(file))]);
  return own?.isFile() === true && folder?.isDirectory() === true;
}

async function exists(file: string): Promise<boolean> {
  return (await statOf(file)) !== undefined;
}

async function statOf(file: string) {
  try {
    return await lstat(file);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
    throw error;
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

async function onDisk<T>(attempt: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const fix = isErrno(error, 'ENOSPC')
      ? 'free some space on the disk'
      : 'check the disk and the permissions of the data directory';
    const said = error instanceof Error ? error.message : String(error);
    throw new AppError('store.write_failed', `cannot ${attempt}: ${said}; ${fix}`, { cause: error });
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
