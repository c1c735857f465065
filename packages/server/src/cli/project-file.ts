/** The project's `.understudy.yaml`: the address a repository works with. Settings depend on it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '@understudy/core/errors';

export interface ProjectFile {
  readonly file: string;
  readonly url?: string;
  /** Absolute; always inside of the project's folder. */
  readonly tokenFile?: string;
  readonly context?: string;
}

const FIELDS = ['url', 'token-file', 'context'] as const;

/**
 * The nearest `.understudy.yaml` in this folder or one above.
 * @throws AppError `config.invalid`
 */
export async function findProjectFile(folder: string): Promise<ProjectFile | undefined> {
  for (let current = folder; ; current = path.dirname(current)) {
    const file = path.join(current, '.understudy.yaml');
    const text = await textOf(file);
    if (text !== undefined) return parseProject(file, await parseYaml(file, text));
    if (path.dirname(current) === current) return undefined;
  }
}

/** @throws AppError `config.invalid` when the text is not YAML */
export async function parseYaml(file: string, text: string): Promise<unknown> {
  const { parse } = await import('yaml');
  try {
    const value: unknown = parse(text);
    return value;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AppError('config.invalid', `cannot read ${file} as YAML: ${why}`, { cause: error });
  }
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return undefined;
  }
}

function parseProject(file: string, input: unknown): ProjectFile {
  if (typeof input !== 'object' || input === null) throw invalid(file, 'it must hold fields such as "url: https://…"');
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(input)) {
    if (!FIELDS.some((field) => field === key))
      throw invalid(file, `unknown field "${key}"; there are ${FIELDS.join(', ')} (a token itself never belongs in it)`);
    if (typeof value !== 'string') throw invalid(file, `"${key}" must be a text`);
    values.set(key, value);
  }
  const url = values.get('url');
  const context = values.get('context');
  const tokenFile = values.get('token-file');
  return {
    file,
    ...(url === undefined ? {} : { url }),
    ...(context === undefined ? {} : { context }),
    ...(tokenFile === undefined ? {} : { tokenFile: insideOf(file, tokenFile) }),
  };
}

/** A project that somebody else wrote must not be able to send any file of this machine to its address. */
function insideOf(file: string, tokenFile: string): string {
  const folder = path.dirname(file);
  const found = path.resolve(folder, tokenFile);
  const relative = path.relative(folder, found);
  if (relative.startsWith('..') || path.isAbsolute(relative)) {
    throw invalid(file, `"token-file" must lie inside of ${folder}; for another file use --token-file or UNDERSTUDY_TOKEN_FILE`);
  }
  return found;
}

function invalid(file: string, problem: string): AppError {
  return new AppError('config.invalid', `cannot use ${file}: ${problem}`);
}
