/** Whether an answer hangs on a targeting key that the context does not have. Answers of OFREP and of our SDK depend on it. */
import { BUCKET_COUNT } from '../bucketing.ts';
import type { Bucketing } from './bucketing-profile.ts';
import type { Condition } from './condition.ts';
import { compileReader, type Context, DEFAULT_KIND } from './context.ts';
import type { EvaluationDetail } from './evaluation.ts';
import type { Flag, Split } from './flag.ts';
import type { Segment } from './segment.ts';

/** A context without a targeting key, and what it is asked about. */
export interface KeylessQuestion {
  readonly flags: ReadonlyMap<string, Flag>;
  readonly segments: ReadonlyMap<string, Segment>;
  readonly context: Context;
  /** How a flag is decided for this context. */
  detailOf(key: string): EvaluationDetail;
}

/**
 * True when the user's bucket decided, here or in a prerequisite. A flag that is off, or whose rule is met by attributes,
 * needs no key.
 */
export function isKeyMissing(key: string, question: KeylessQuestion, above: readonly string[] = []): boolean {
  const flag = question.flags.get(key);
  if (flag === undefined || above.includes(key)) return false;
  const detail = question.detailOf(key);
  if (detail.kind === 'off' || detail.kind === 'unscheduled' || detail.kind === 'error') return false;
  for (const prerequisite of flag.prerequisites) {
    if (isKeyMissing(prerequisite.flag, question, [...above, key])) return true;
    if (detail.kind === 'prerequisite' && detail.flag === prerequisite.flag) return false;
  }
  return detail.kind === 'rule' || detail.kind === 'fallthrough' ? isBucketed(flag, detail, question) : false;
}

type Decision = Extract<EvaluationDetail, { readonly kind: 'rule' | 'fallthrough' }>;

function isBucketed(flag: Flag, decision: Decision, question: KeylessQuestion): boolean {
  const index = decision.kind === 'rule' ? decision.index : flag.rules.length;
  const asked = flag.rules.slice(0, index + 1).flatMap(({ all }) => all);
  if (asked.some((condition) => hasShare(condition, question, []))) return true;
  const serve = flag.rules[index]?.serve ?? flag.fallthrough;
  return 'split' in serve && isDivided(serve.split) && asksKey(serve.split.bucketing ?? flag.bucketing, question.context);
}

/** @param above segments that the condition is in, so that those that refer to each other in a circle end */
function hasShare(condition: Condition, question: KeylessQuestion, above: readonly string[]): boolean {
  switch (condition.type) {
    case 'share':
      return asksKey(condition.bucketing, question.context);
    case 'segment':
      return condition.segments.some((key) => {
        const rules = above.includes(key) ? [] : (question.segments.get(key)?.rules ?? []);
        return rules.some(({ all }) => all.some((inner) => hasShare(inner, question, [...above, key])));
      });
    case 'all':
    case 'any':
    case 'none':
      return condition.of.some((inner) => hasShare(inner, question, above));
    case 'attribute':
    case 'time':
      return false;
  }
}

/** Whether it matters where in the split somebody is. */
function isDivided({ slices, total = BUCKET_COUNT }: Split): boolean {
  const rest = total - slices.reduce((sum, { weight }) => sum + weight, 0);
  const taken = slices.filter(({ weight }, index) => weight > 0 || (rest > 0 && index === slices.length - 1));
  return new Set(taken.map(({ variant }) => variant)).size > 1;
}

function asksKey({ by = [{ attribute: 'key' }] }: Bucketing, context: Context): boolean {
  const isKeyOne = by.some(({ kind = DEFAULT_KIND, attribute }) => kind === DEFAULT_KIND && attribute === 'key');
  return isKeyOne && by.every((reference) => (compileReader(reference)?.(context) ?? '') === '');
}
