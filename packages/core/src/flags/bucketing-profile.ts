/** How a flag turns a subject into a point: our own hash, or that of another system, so that its users stay where they are. */
import { murmur3 } from '../murmur3.ts';
import { BUCKET_COUNT } from '../bucketing.ts';
import { type AttributeReference, type Context, compileReader, DEFAULT_KIND, type JsonValue } from './context.ts';
import { md5 } from './md5.ts';
import { sha1 } from './sha1.ts';

/**
 * `unleash`: Unleash's variant hash, also our own. `unleash-rollout`: its on-off hash. `launchdarkly`, `flagsmith`, `flagd`:
 * theirs. `attribute`: the caller brings a bucket in 0 … 99 999, rotated by the salt, so that every system agrees.
 */
export const PROFILES = ['unleash', 'unleash-rollout', 'launchdarkly', 'flagsmith', 'flagd', 'attribute'] as const;
export type Profile = (typeof PROFILES)[number];

/** Which hash, over what. */
export interface Bucketing {
  readonly profile: Profile;
  /** What the subject is hashed with: group, `key.salt` or seed, id, flag key. Changing it moves everybody. */
  readonly salt: string;
  /** The first attribute the context has is the subject; default the user's key. */
  readonly by?: readonly AttributeReference[];
  /** Put before the subject, as Flagsmith does with the environment's key. */
  readonly prefix?: string;
  /** Without a subject: the first bucket (default), no bucket at all, or a random one. */
  readonly whenMissing?: 'first' | 'none' | 'random';
}

/** What an evaluation may not find out by itself. */
export interface Circumstances {
  readonly atMs: number;
  /** Uniform in [0, 1); asked only when a subject is missing and the flag wants chance. */
  random(): number;
}

/** The point of a context, comparable with the borders of the same {@link Scale}; NaN when it has none. */
export type PointReader = (context: Context, circumstances: Circumstances) => number;

/** Points and the borders between slices, in the unit of the profile. */
export interface Scale {
  readonly point: PointReader;
  /** The end of each slice, first to last, from the weights of all. */
  readonly borders: readonly number[];
  /** Whether the context has the entity that is bucketed. */
  readonly hasEntity: (context: Context) => boolean;
}

const USER_KEY: readonly AttributeReference[] = [{ attribute: 'key' }];
const VARIANT_SEED = 86_028_157;
// The documented divisor is 0xFFFFFFFFFFFFFFF, which every SDK holds as a double: 2 to the 60th.
const SHA1_SPAN = 2 ** 60;

interface HashOf {
  /** A point in [0, span) of a subject's text, or of its number for `attribute`. */
  readonly of: (subject: string) => number;
  readonly span: number;
  readonly borderOf: (sum: number, weight: number) => number;
}

/** @returns undefined when an attribute to bucket by is malformed */
export function compileScale(bucketing: Bucketing, weights: readonly number[], total: number = BUCKET_COUNT): Scale | undefined {
  const references = bucketing.by ?? USER_KEY;
  const readers = references.map(compileReader).filter((reader) => reader !== undefined);
  if (readers.length < references.length) return undefined;
  const { of, span, borderOf } = hashOf(bucketing, total);
  const { prefix = '', whenMissing = 'first', profile } = bucketing;
  const asText = profile === 'launchdarkly' ? wholeText : profile === 'attribute' ? bucketText : anyText;
  const kinds = references.map(({ kind = DEFAULT_KIND }) => kind);
  let sum = 0;
  return {
    borders: weights.map((weight) => (sum = borderOf(sum, weight))),
    hasEntity: (context) => kinds.some((kind) => context[kind] !== undefined),
    point(context, circumstances) {
      for (const read of readers) {
        const subject = asText(read(context));
        if (subject !== undefined) return of(prefix === '' ? subject : prefix + subject);
      }
      if (whenMissing === 'random') return circumstances.random() * span;
      return whenMissing === 'first' ? 0 : Number.NaN;
    },
  };
}

function hashOf({ profile, salt }: Bucketing, total: number): HashOf {
  const add = (sum: number, weight: number): number => sum + weight;
  switch (profile) {
    case 'unleash':
      return { of: (subject) => murmur3(`${salt}:${subject}`, VARIANT_SEED) % total, span: total, borderOf: add };
    case 'unleash-rollout':
      return { of: (subject) => murmur3(`${salt}:${subject}`, 0) % total, span: total, borderOf: add };
    case 'flagd':
      return { of: (subject) => Math.floor((murmur3(salt + subject, 0) * total) / 2 ** 32), span: total, borderOf: add };
    case 'launchdarkly':
      // Sums of fractions, rounding errors included, as LaunchDarkly's SDKs add them.
      return {
        of: (subject) => launchDarklyPoint(`${salt}.${subject}`),
        span: 1,
        borderOf: (sum, weight) => sum + weight / total,
      };
    case 'flagsmith':
      return {
        of: (subject) => flagsmithPoint(salt, subject),
        span: 100,
        borderOf: (sum, weight) => sum + (total === 100 ? weight : (weight * 100) / total),
      };
    case 'attribute': {
      const offset = rotationOf(salt);
      return {
        of: (subject) => ((Number(subject) + offset) % BUCKET_COUNT) * (total / BUCKET_COUNT),
        span: total,
        borderOf: add,
      };
    }
  }
}

/** How far a salt rotates the buckets that callers bring, so that two flags do not take the same subjects. */
export function rotationOf(salt: string): number {
  return murmur3(salt, VARIANT_SEED) % BUCKET_COUNT;
}

/** The first 60 bits of SHA-1 as a fraction; both ends can occur. */
function launchDarklyPoint(text: string): number {
  const [high, low] = sha1(text);
  return (high * 0x1000_0000 + (low >>> 4)) / SHA1_SPAN;
}

/** MD5 modulo 9999 in percent; a subject at exactly 100 is hashed again with its parts repeated. */
function flagsmithPoint(salt: string, subject: string): number {
  let text = `${salt},${subject}`;
  for (;;) {
    const point = (remainder9999(md5(text)) / 9998) * 100;
    if (point !== 100) return point;
    text = `${text},${salt},${subject}`;
  }
}

/** A 128-bit number of four words, first the highest, modulo 9999. */
function remainder9999(words: readonly number[]): number {
  return words.reduce((rest, word) => (rest * 0x1_0000_0000 + word) % 9999, 0);
}

function anyText(value: JsonValue | undefined): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

function wholeText(value: JsonValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' && Number.isInteger(value) ? String(value) : undefined;
}

function bucketText(value: JsonValue | undefined): string | undefined {
  const text = anyText(value);
  const bucket = Number(text);
  return Number.isInteger(bucket) && bucket >= 0 && bucket < BUCKET_COUNT ? text : undefined;
}
