/** Splits over a bucket that the caller brings, as rules over ranges of it: an SDK of any family then answers what the server answers. */
import { BUCKET_COUNT } from '@understudy/core/bucketing';
import { type Bucketing, rotationOf } from '@understudy/core/flags/bucketing-profile';
import type { Condition } from '@understudy/core/flags/condition';
import type { AttributeReference } from '@understudy/core/flags/context';
import type { FlagDocuments } from '@understudy/core/flags/evaluator';
import type { Flag, Rule, Serve, Slice, Split } from '@understudy/core/flags/flag';

/** The same documents without splits of the profile `attribute`; all others stay as they are. */
export function withBucketRanges({ flags, segments }: FlagDocuments): FlagDocuments {
  return {
    flags: flags.map((flag) => (serves(flag).some((serve) => isByAttribute(serve, flag)) ? rewrite(flag) : flag)),
    segments,
  };
}

function serves({ rules, fallthrough }: Flag): readonly Serve[] {
  return [fallthrough, ...rules.map(({ serve }) => serve)];
}

function isByAttribute(serve: Serve, flag: Flag): serve is { readonly split: Split } {
  return 'split' in serve && (serve.split.bucketing ?? flag.bucketing).profile === 'attribute';
}

function rewrite(flag: Flag): Flag {
  const rules = flag.rules.flatMap((rule) => {
    const { serve } = rule;
    if (!isByAttribute(serve, flag)) return [rule];
    return [...rangeRules(rule, serve.split, flag), { ...rule, serve: serveWithout(serve.split, flag) }];
  });
  const { fallthrough } = flag;
  if (!isByAttribute(fallthrough, flag)) return { ...flag, rules };
  const id = 'fallthrough';
  return {
    ...flag,
    rules: [...rules, ...rangeRules({ id, all: [] }, fallthrough.split, flag)],
    fallthrough: serveWithout(fallthrough.split, flag),
  };
}

/** At most two ranges for each slice, since the salt rotates the buckets. */
function rangeRules(rule: Pick<Rule, 'id' | 'all'>, split: Split, flag: Flag): readonly Rule[] {
  const { salt, by = [{ attribute: 'key' }] } = split.bucketing ?? flag.bucketing;
  const rotation = rotationOf(salt);
  const [attribute = { attribute: 'key' }] = by;
  return partsOf(split).flatMap(({ variant, from, until }) =>
    rangesOf(from - rotation, until - rotation).map(([low, high]) => {
      return { ...rule, all: [...rule.all, ...within(attribute, low, high)], serve: { variant } };
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

/** What a context without a bucket gets. Chance is not to be had in an SDK: there it is a hash of the user's key. */
function serveWithout(split: Split, flag: Flag): Serve {
  const { slices } = split;
  const bucketing: Bucketing = split.bucketing ?? flag.bucketing;
  const { whenMissing = 'first' } = bucketing;
  const fixed: Slice | undefined = whenMissing === 'first' ? slices[0] : slices.at(-1);
  if (whenMissing !== 'random' && fixed !== undefined) return { variant: fixed.variant };
  return {
    split: { ...split, bucketing: { profile: 'launchdarkly', salt: `${flag.key}.${flag.bucketing.salt}`, whenMissing: 'none' } },
  };
}
