/** Flags and segments as people write them in files: what is usual may be left out. The command line reads files through it. */
import { AppError } from '@understudy/core/errors';
import type { Flag } from '@understudy/core/flags/flag';
import type { Segment } from '@understudy/core/flags/segment';
import { z } from 'zod';
import { FlagSchema, SegmentSchema } from './flag-documents.ts';
import { describeProblems } from './problems.ts';

/** A document and, when it was printed by `get`, the revision that it was read at. */
export interface ReadDocument<Document> {
  readonly document: Document;
  readonly revision: number | undefined;
}

/**
 * Left out: no prerequisites, pins and rules, and bucketing by the user's key with our own hash, salted with the flag's key.
 * @param input a flag, or `{flag, revision}` as `understudy flag get` prints it
 * @throws AppError `flag.invalid` naming every problem and where it is
 */
export function readFlagFile(input: unknown): ReadDocument<Flag> {
  const { inner, revision } = unwrapped(input, 'flag');
  const whole = isRecord(inner)
    ? { prerequisites: [], pins: [], rules: [], bucketing: { profile: 'unleash', salt: inner['key'] }, ...inner }
    : inner;
  const parsed = FlagSchema.safeParse(whole);
  if (parsed.success) return { document: parsed.data, revision };
  throw new AppError('flag.invalid', `the flag cannot be used: ${describeProblems(parsed.error)}`);
}

/**
 * Left out: nobody included or excluded, no rules.
 * @param input a segment, or `{segment, revision}` as `understudy segment get` prints it
 * @throws AppError `segment.invalid` naming every problem and where it is
 */
export function readSegmentFile(input: unknown): ReadDocument<Segment> {
  const { inner, revision } = unwrapped(input, 'segment');
  const whole = isRecord(inner) ? { included: [], excluded: [], rules: [], ...inner } : inner;
  const parsed = SegmentSchema.safeParse(whole);
  if (parsed.success) return { document: parsed.data, revision };
  throw new AppError('segment.invalid', `the segment cannot be used: ${describeProblems(parsed.error)}`);
}

const Printed = z.looseObject({ revision: z.int().min(0).exactOptional() });

function unwrapped(
  input: unknown,
  field: 'flag' | 'segment',
): { readonly inner: unknown; readonly revision: number | undefined } {
  const printed = Printed.safeParse(input);
  if (!printed.success || !isRecord(printed.data[field])) return { inner: input, revision: undefined };
  return { inner: printed.data[field], revision: printed.data.revision };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
