/** The user's contexts, each an address with its token, in a file that only the user can read. Login and settings depend on it. */
import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '@understudy/core/errors';
import type { Environment } from './io.ts';

export interface Context {
  readonly url: string;
  readonly token?: string;
}

export interface Contexts {
  readonly current?: string;
  readonly contexts: Readonly<Record<string, Context>>;
}

const NONE: Contexts = { contexts: {} };

/** Where a kind of personal file is kept, after the XDG rules; undefined without a home. */
export function personalFolder(env: Environment, kind: 'config' | 'cache'): string | undefined {
  const chosen = env[kind === 'config' ? 'XDG_CONFIG_HOME' : 'XDG_CACHE_HOME'] ?? '';
  if (path.isAbsolute(chosen)) return path.join(chosen, 'understudy');
  const home = env['HOME'] ?? env['USERPROFILE'] ?? '';
  return home === '' ? undefined : path.join(home, kind === 'config' ? '.config' : '.cache', 'understudy');
}

/** @throws AppError `config.invalid` when the file is not what `understudy login` writes */
export async function readContexts(env: Environment): Promise<Contexts> {
  const file = fileOf(env);
  if (file === undefined) return NONE;
  try {
    return parseContexts(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return NONE;
    const why = error instanceof Error ? error.message : String(error);
    throw new AppError(
      'config.invalid',
      `cannot read the contexts in ${file}: ${why}. Repair the file, or move it away and log in again`,
      {
        cause: error,
      },
    );
  }
}

/** Replaces the file whole, mode 0600. @returns the path written */
export async function writeContexts(env: Environment, contexts: Contexts): Promise<string> {
  const file = fileOf(env);
  if (file === undefined) throw new AppError('config.invalid', 'cannot store a context: neither HOME nor XDG_CONFIG_HOME is set');
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${crypto.randomUUID()}`;
  await writeFile(draft, `${JSON.stringify(contexts, undefined, 2)}\n`, { mode: 0o600 });
  await chmod(draft, 0o600);
  await rename(draft, file);
  return file;
}

/** Whether others than the owner may read the file; false where it does not exist. */
export async function isOpenToOthers(file: string): Promise<boolean> {
  if (process.platform === 'win32') return false;
  try {
    return ((await stat(file)).mode & 0o077) !== 0;
  } catch {
    return false;
  }
}

function fileOf(env: Environment): string | undefined {
  const folder = personalFolder(env, 'config');
  return folder === undefined ? undefined : path.join(folder, 'contexts.json');
}

function parseContexts(input: unknown): Contexts {
  const file = recordOf(input, 'the file');
  const contexts = Object.entries(recordOf(file['contexts'] ?? {}, 'contexts')).map(([name, value]) => {
    const { url, token } = recordOf(value, `contexts.${name}`);
    if (typeof url !== 'string') throw new Error(`contexts.${name}.url is not a text`);
    return [name, { url, ...(typeof token === 'string' ? { token } : {}) }] as const;
  });
  const { current } = file;
  return { contexts: Object.fromEntries(contexts), ...(typeof current === 'string' ? { current } : {}) };
}

function recordOf(value: unknown, place: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${place} is not an object`);
  return Object.fromEntries(Object.entries(value));
}
