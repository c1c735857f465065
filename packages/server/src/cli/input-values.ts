/** Values as people type them on the command line, turned into what the contract takes. Several commands depend on it. */
import { readFile } from 'node:fs/promises';
import { parseDuration } from '@understudy/core/duration';
import { AppError } from '@understudy/core/errors';
import type { RequestField } from '@understudy/core/targeting';
import { parseYaml } from './project-file.ts';
import { UsageError } from './usage-error.ts';

/** @throws UsageError unless it is a length of time such as `90s` */
export function durationOf(text: string, option: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`${option} ${text}: write a length of time such as 90s, 10m, 24h or 1h30m`);
  return ms;
}

/** A name and its number, written `name=number`. */
export function namedNumberOf(text: string, option: string): readonly [name: string, value: number] {
  const at = text.lastIndexOf('=');
  if (at <= 0) throw new UsageError(`${option} ${text}: write it as name=number`);
  return [text.slice(0, at), numberOf(text.slice(at + 1), option)];
}

/** @throws UsageError unless it is a number */
export function numberOf(text: string, option: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new UsageError(`${option} ${text}: write a number`);
  return value;
}

/** A share in [0, 1], written as `5%` or `0.05`. */
export function shareOf(text: string, option: string): number {
  const value = text.endsWith('%') ? numberOf(text.slice(0, -1), option) / 100 : numberOf(text, option);
  if (value < 0 || value > 1) throw new UsageError(`${option} ${text}: write a share such as 5% or 0.05`);
  return value;
}

/** A moment, as ISO 8601 or as a length of time ago. @returns ISO 8601 in UTC */
export function momentOf(text: string, nowMs: number): string {
  const ago = parseDuration(text.replace(/ ago$/, ''));
  const atMs = ago === undefined ? Date.parse(text) : nowMs - ago;
  if (!Number.isFinite(atMs))
    throw new UsageError(`--at ${text}: write a time such as 2026-01-31T12:00:00Z, or 2h for two hours ago`);
  return new Date(atMs).toISOString();
}

/** `header:x-user-id`, `cookie:uid`, `json:user.id` or `api-key`. */
export function requestFieldOf(text: string): RequestField {
  const [from, ...rest] = text.split(':');
  const name = rest.join(':');
  if (text === 'api-key') return { from: 'api-key' };
  if (name !== '' && from === 'header') return { from, name: name.toLowerCase() };
  if (name !== '' && from === 'cookie') return { from, name };
  if (name !== '' && from === 'json') return { from, path: name };
  throw new UsageError(`--subject ${text}: write header:NAME, cookie:NAME, json:PATH or api-key`);
}

/** A file of YAML or JSON. @throws AppError `config.invalid`; UsageError when it cannot be read */
export async function readDataFile(file: string): Promise<unknown> {
  return parseYaml(file, await textOf(file));
}

/** A JSON array of numbers, or of rows of numbers, or an object that the server takes as a baseline. */
export async function readBaseline(
  file: string,
): Promise<{ readonly predictions: number[] } | { readonly features: number[][] }> {
  const { BaselineInput } = await import('@understudy/contract/model-endpoints');
  const input = parseJson(file, await textOf(file));
  const first: unknown = Array.isArray(input) ? input[0] : undefined;
  const wrapped = Array.isArray(input) ? (Array.isArray(first) ? { features: input } : { predictions: input }) : input;
  const parsed = BaselineInput.safeParse(wrapped);
  if (parsed.success) return parsed.data;
  throw new UsageError(
    `${file} is no baseline: write {"predictions": [0.1, 0.7, …]} or {"features": [[1, 2], [3, 4], …]}, at least two of them`,
    { cause: parsed.error },
  );
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AppError('config.invalid', `cannot read ${file} as JSON: ${why}`, { cause: error });
  }
}
