/** Last known values in a folder: written whole or not at all, checked when read, with the generation before as a reserve. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { SnapshotStorage } from './snapshot-storage.ts';

const HEAD = 'understudy-kept-1';

/**
 * Keeps the last known good values in files of a folder, which is created when it is absent. Processes may share a folder
 * when they ask the same server with keys of the same environment.
 * @param name begins the names of the files, so that several may share a folder
 */
export function fileStorage(folder: string, name = 'flags'): SnapshotStorage {
  if (!/^[\w.-]{1,100}$/.test(name)) {
    throw new Error(`the name "${name}" cannot begin a file's name: use letters, digits, ".", "_" and "-"`);
  }
  const newest = join(folder, `${name}.snapshot`);
  const previous = join(folder, `${name}.previous.snapshot`);
  let isSwept = false;
  return {
    async read() {
      const found = await Promise.all([newest, previous].map(readChecked));
      return {
        texts: found.flatMap(({ text }) => text ?? []),
        problems: found.flatMap(({ problem }) => problem ?? []),
      };
    },
    async write(text, id) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const present = await readChecked(newest);
      // Processes that share the folder write the same: that must not push the reserve out. Whoever wrote it may have been
      // killed before its rename was sure to last.
      const mark = digestOf(id).slice(0, 16);
      if (present.mark === mark) return syncFolder(folder);
      // The folder itself may be new, and those above it.
      if (present.text === undefined) await syncFoldersAbove(resolve(folder));
      if (!isSwept) await removeAbandoned(folder, name);
      isSwept = true;
      const temporary = join(folder, `.${name}.${randomUUID()}`);
      try {
        await writeSynced(temporary, `${HEAD} ${mark} ${digestOf(text)}\n${text}`);
        // A damaged file is no reserve. Between the two renames there is only the reserve, which is read then.
        if (present.text !== undefined) await rename(newest, previous).catch(ignoreAbsent);
        await rename(temporary, newest);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      await syncFolder(folder);
    },
  };
}

interface Checked {
  readonly text?: string;
  /** Of the content's id. */
  readonly mark?: string;
  readonly problem?: string;
}

async function readChecked(path: string): Promise<Checked> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    return isAbsent(error) ? {} : { problem: `${path} cannot be read: ${String(error)}` };
  }
  const end = content.indexOf('\n');
  const text = content.slice(end + 1);
  const [head, mark = '', digest] = content.slice(0, Math.max(0, end)).split(' ');
  return head === HEAD && digest === digestOf(text)
    ? { text, mark }
    : { problem: `${path} is damaged: its content does not have the checksum that it names` };
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function writeSynced(path: string, content: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

// Nobody writes for so long.
const ABANDONED_MS = 600_000;

/** Removes what processes that were killed in the middle of writing have left. */
async function removeAbandoned(folder: string, name: string): Promise<void> {
  const drafts = (await readdir(folder)).filter((file) => file.startsWith(`.${name}.`) && /\.[\da-f-]{36}$/.test(file));
  for (const draft of drafts) {
    const path = join(folder, draft);
    // Another process may be removing it as well.
    const changedAtMs = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => undefined,
    );
    if (changedAtMs !== undefined && Date.now() - changedAtMs > ABANDONED_MS) await rm(path, { force: true });
  }
}

// What systems say that cannot open or sync a folder; they keep renames in order by themselves.
const UNSUPPORTED = new Set(['EACCES', 'EBADF', 'EINVAL', 'EISDIR', 'ENOTSUP', 'EPERM']);

/** Makes the renames last. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(ignoreUnsupported);
  try {
    await handle?.sync().catch(ignoreUnsupported);
  } finally {
    await handle?.close();
  }
}

function ignoreUnsupported(error: unknown): undefined {
  if (!(error instanceof Error && 'code' in error && UNSUPPORTED.has(String(error.code)))) throw error;
}

async function syncFoldersAbove(folder: string): Promise<void> {
  const above = dirname(folder);
  if (above === folder) return;
  await syncFolder(above);
  await syncFoldersAbove(above);
}

/** Another process has moved it meanwhile. */
function ignoreAbsent(error: unknown): void {
  if (!isAbsent(error)) throw error;
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
