/** Splits over a bucket that the caller brings, as rules over ranges of it: every system can say those. Renderers depend on it. */
import { BUCKET_COUNT } from '../bucketing.ts';
import { rotationOf } from './bucketing-profile.ts';
import type { Condition } from './condition.ts';
import type { AttributeReference } from './context.ts';
import type { Flag, Rule, Serve, Split } from './flag.ts';

/**
 * The same flag, in which no split of the profile `attribute` is left. It asks for the bucket as a number.
 * @param atRandom what a context without a bucket gets where the flag wants chance; default the last slice, which is on trial least
 */
export function withRangesForSplits(flag: Flag, atRandom: (split: Split) => Serve = lastOf): Flag {
  const divide = (rule: Rule): readonly Rule[] => {
    const { serve } = rule;
    if (!isByAttribute(serve, flag)) return [rule];
    return [...rangeRules(rule, serve.split, flag), { ...rule, serve: serveWithout(serve.split, flag, atRandom) }];
  };
  const rest = divide({ id: 'fallthrough', all: [], serve: flag.fallthrough });
  return {
    ...flag,
    rules: [...flag.rules.flatMap(divide), ...rest.slice(0, -1)],
    fallthrough: rest.at(-1)?.serve ?? flag.fallthrough,
  };
}

function isByAttribute(serve: Serve, flag: Flag): serve is { readonly split: Split } {
  return 'split' in serve && serve.split.slices.length > 0 && (serve.split.bucketing ?? flag.bucketing).profile === 'attribute';
}

/** At most two ranges for each slice, since the salt rotates the buckets. */
function rangeRules(rule: Rule, split: Split, flag: Flag): readonly Rule[] {
  const { salt, by: [reference = { attribute: 'key' }] = [] } = split.bucketing ?? flag.bucketing;
  const rotation = rotationOf(salt);
  return partsOf(split).flatMap(({ variant, from, until }) =>
    rangesOf(from - rotation, until - rotation).map(([low, high]): Rule => {
      return { ...rule, all: [...rule.all, ...within(reference, low, high)], serve: { variant } };
    }),
  );
}

interface Part {
  readonly variant: string;
  readonly from: number;
  readonly until: number;
}

/** Slices as whole buckets; the last one takes what the others leave over. */
function partsOf({ slices, total = BUCKET_COUNT }: Split): readonly Part[] {
  let sum = 0;
  let from = 0;
  const last = slices.length - 1;
  return slices.map(({ variant, weight }, index) => {
    sum += weight;
    const until = index === last ? BUCKET_COUNT : firstBucketFrom(sum, total);
    const part = { variant, from, until };
    from = until;
    return part;
  });
}

/** The first bucket that is not below a border, rounded as the evaluator rounds. */
function firstBucketFrom(border: number, total: number): number {
  const isBelow = (bucket: number): boolean => bucket * (total / BUCKET_COUNT) < border;
  let bucket = Math.min(BUCKET_COUNT, Math.ceil((border * BUCKET_COUNT) / total));
  while (bucket > 0 && !isBelow(bucket - 1)) bucket -= 1;
  while (bucket < BUCKET_COUNT && isBelow(bucket)) bucket += 1;
  return bucket;
}

/** A range of rotated buckets as ranges of buckets before the rotation. */
function rangesOf(from: number, until: number): readonly (readonly [low: number, high: number])[] {
  const low = from + BUCKET_COUNT;
  const high = until + BUCKET_COUNT;
  const ranges = [
    [low, Math.min(high, BUCKET_COUNT)],
    [Math.max(low, BUCKET_COUNT) - BUCKET_COUNT, high - BUCKET_COUNT],
  ] as const;
  return ranges.filter(([start, end]) => start < end);
}

function within(reference: AttributeReference, low: number, high: number): readonly Condition[] {
  const attribute = { type: 'attribute', ...reference } as const;
  return [
    { ...attribute, operator: 'greater-than-or-equal', values: [low] },
    { ...attribute, operator: 'less-than', values: [high] },
  ];
}

/** What a context without a bucket gets. */
function serveWithout(split: Split, flag: Flag, atRandom: (split: Split) => Serve): Serve {
  const { whenMissing = 'first' } = split.bucketing ?? flag.bucketing;
  if (whenMissing === 'random') return atRandom(split);
  const first = split.slices.find(({ weight }) => weight > 0);
  return whenMissing === 'first' && first !== undefined ? { variant: first.variant } : lastOf(split);
}

function lastOf({ slices }: Split): Serve {
  return { variant: slices.at(-1)?.variant ?? '' };
}
