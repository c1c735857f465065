/** Answers of a Redis server, parsed. An answer is outside data until one of these has looked at it. */
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';
import { documentOfRow } from './rows.ts';
import type { DocumentKind, StoredDocument } from './store.ts';
import { RESTORE_HINT } from './restore-hint.ts';

const TextReply = z.string().nullable();
const TextsReply = z.array(z.string());
const StreamReply = z.array(z.tuple([z.string(), z.array(z.string())]));
const NumberReply = z.int();

export const textOf = (reply: unknown): string | undefined => parseReply(TextReply, reply) ?? undefined;
export const textsOf = (reply: unknown): readonly string[] => parseReply(TextsReply, reply);
export const numberOf = (reply: unknown): number => parseReply(NumberReply, reply);

/** Fields and values of a hash: a script answers with both in turn, a command of its own with an object. */
export function hashOf(reply: unknown): readonly (readonly [string, string])[] {
  if (typeof reply === 'object' && reply !== null && !Array.isArray(reply)) {
    return Object.entries(reply).map(([field, value]) => [field, parseReply(z.string(), value)]);
  }
  const flat = textsOf(reply);
  return flat.flatMap((field, at) => (at % 2 === 0 ? [[field, flat[at + 1] ?? ''] as const] : []));
}

/** An entry of a stream: the number that its id begins with, and its fields. */
export interface StreamEntry {
  readonly number: number;
  readonly fields: Readonly<Record<string, string>>;
}

export function streamOf(reply: unknown): readonly StreamEntry[] {
  return parseReply(StreamReply, reply).map(([id, flat]) => {
    const fields: Record<string, string> = {};
    for (let at = 0; at < flat.length; at += 2) fields[flat[at] ?? ''] = flat[at + 1] ?? '';
    return { number: Number(id.split('-', 1)[0]), fields };
  });
}

/** A number as a score: JSON has the shortest text that gives the same number again. */
export function scoreOf(value: number): string {
  if (value === -Infinity) return '-inf';
  return value === Infinity ? '+inf' : JSON.stringify(value);
}

/** JSON that we wrote. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError('store.corrupt', `cannot read the store: something in it is not JSON; ${RESTORE_HINT}`, {
      cause: error,
    });
  }
}

/** A document as its hash holds it: revision, colon, body. */
export function documentText(revision: number, body: string): string {
  return `${revision}:${body}`;
}

/** The parts of {@link documentText}. */
export function documentPartsOf(text: string): { readonly revision: number; readonly body: string } {
  const colon = text.indexOf(':');
  return { revision: Number(text.slice(0, colon)), body: text.slice(colon + 1) };
}

export function documentOf(kind: DocumentKind, id: string, text: string): StoredDocument {
  return documentOfRow({ kind, id, ...documentPartsOf(text) });
}

// Grows when an older release could not read what this one writes.
const FORMAT = '1';

/** Revision and hash of the newest journal entry, as the head holds them. */
export function headText(revision: number, hash: string): string {
  return `${FORMAT} ${revision} ${hash}`;
}

/** @throws AppError `config.invalid` when a newer release wrote it, `store.corrupt` when nobody of ours did */
export function headOf(text: string): { readonly revision: number; readonly hash: string } {
  const [format, revision, hash, ...rest] = text.split(' ');
  if (format !== FORMAT && /^\d+$/.test(format ?? '')) {
    throw new AppError(
      'config.invalid',
      `cannot read the store: its format is number ${format} and this release knows ${FORMAT}; run the newer release that wrote it`,
    );
  }
  if (rest.length > 0 || !/^[1-9]\d*$/.test(revision ?? '') || !/^[0-9a-f]{64}$/.test(hash ?? '')) {
    throw new AppError('store.corrupt', `cannot read the store: its head is "${text.slice(0, 100)}"; ${RESTORE_HINT}`);
  }
  return { revision: Number(revision), hash: hash ?? '' };
}

export function parseReply<T>(schema: z.ZodType<T>, reply: unknown): T {
  const parsed = schema.safeParse(reply);
  if (parsed.success) return parsed.data;
  throw new AppError(
    'store.corrupt',
    `cannot read an answer of the Redis server: ${z.prettifyError(parsed.error)}; give Understudy a database of its own, or ${RESTORE_HINT}`,
    { cause: parsed.error },
  );
}
