/** Splits over a bucket that the caller brings, as rules over ranges of it: every system can say those. Renderers depend on it. */
import { BUCKET_COUNT } from '../bucketing.ts';
import { rotationOf } from './bucketing-profile.ts';
import type { AttributeCondition, Condition, Operator } from './condition.ts';
import type { AttributeReference } from './context.ts';
import type { Flag, Rule, Serve } from './flag.ts';

/** The same flag, in which no split of the profile `attribute` is left. It asks for the bucket as a number. */
export function withRangesForSplits(flag: Flag): Flag {
  const rules = flag.rules.flatMap((rule) => rulesOf(flag, rule));
  const last = rulesOf(flag, { all: [], serve: flag.fallthrough });
  const fallthrough = last.at(-1)?.serve ?? flag.fallthrough;
  return { ...flag, rules: [...rules, ...last.slice(0, -1)], fallthrough };
}

/** One rule for each slice; the last slice takes who is left, as it does in a split. */
function rulesOf(flag: Flag, rule: Rule): readonly Rule[] {
  const { serve } = rule;
  if ('variant' in serve) return [rule];
  const { slices, total = BUCKET_COUNT, bucketing = flag.bucketing } = serve.split;
  const [reference = { attribute: 'key' }] = bucketing.by ?? [];
  if (bucketing.profile !== 'attribute' || slices.length === 0) return [rule];
  const offset = rotationOf(bucketing.salt);
  const given = (condition: readonly Condition[], variant: string): Rule => {
    const next: Serve = { variant };
    return { ...rule, all: [...rule.all, ...condition], serve: next };
  };
  let end = 0;
  const ranged = slices.map(({ variant, weight }, index): Rule => {
    const start = end;
    end += (weight * BUCKET_COUNT) / total;
    const range: Condition = { type: 'any', of: ranges({ start, end, offset }, reference) };
    return given(index === slices.length - 1 ? [] : [range], variant);
  });
  if ((bucketing.whenMissing ?? 'first') !== 'first') return ranged;
  const isMissing: Condition = { type: 'attribute', ...reference, operator: 'present', values: [], not: true, ifMissing: true };
  const first = slices.find(({ weight }) => weight > 0) ?? slices.at(-1);
  return [given([isMissing], first?.variant ?? ''), ...ranged];
}

/** A slice as ranges of the bucket before its rotation: two when it goes over the end. */
function ranges(slice: { start: number; end: number; offset: number }, reference: AttributeReference): readonly Condition[] {
  const start = (slice.start - slice.offset + BUCKET_COUNT) % BUCKET_COUNT;
  const end = start + slice.end - slice.start;
  if (end <= BUCKET_COUNT) return [between(start, end, reference)];
  return [between(start, BUCKET_COUNT, reference), between(0, end - BUCKET_COUNT, reference)];
}

function between(start: number, end: number, reference: AttributeReference): Condition {
  const test = (operator: Operator, value: number): AttributeCondition => {
    return { type: 'attribute', ...reference, operator, values: [value] };
  };
  return { type: 'all', of: [test('greater-than-or-equal', start), test('less-than', end)] };
}
