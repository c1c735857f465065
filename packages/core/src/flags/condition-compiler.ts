/** Turns conditions and segments into closures. The evaluator depends on it. */
import { BUCKET_COUNT } from '../bucketing.ts';
import { type Circumstances, compileScale } from './bucketing-profile.ts';
import type { AttributeCondition, Condition, ShareCondition } from './condition.ts';
import { type Context, compileReader, DEFAULT_KIND } from './context.ts';
import type { KeyList, Segment } from './segment.ts';
import { compileValueTest, type TestPorts } from './value-test.ts';

/** Whether a context meets something. */
export type Matcher = (context: Context, circumstances: Circumstances) => boolean;

/** The first malformed thing that an evaluation came across; evaluations are synchronous, so one place is enough. */
export interface Fault {
  message: string | undefined;
}

/** What the conditions of one set of documents are compiled with. */
export interface ConditionPorts extends TestPorts {
  readonly fault: Fault;
  /** Undefined when there is no such segment. */
  readonly segment: (key: string) => Matcher | undefined;
}

/** True when every condition holds. */
export function compileAll(conditions: readonly Condition[], ports: ConditionPorts): Matcher {
  const matchers = conditions.map((condition) => compileCondition(condition, ports));
  const [first, second] = matchers;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  if (matchers.length === 2) return (context, at) => first(context, at) && second(context, at);
  return (context, at) => {
    for (const matches of matchers) if (!matches(context, at)) return false;
    return true;
  };
}

function compileCondition(condition: Condition, ports: ConditionPorts): Matcher {
  switch (condition.type) {
    case 'attribute':
      return compileAttribute(condition, ports);
    case 'segment': {
      const { segments, not = false } = condition;
      return (context, at) => segments.some((key) => ports.segment(key)?.(context, at) === true) !== not;
    }
    case 'share':
      return compileShare(condition, ports);
    case 'time': {
      const { is, atMs, not = false } = condition;
      return (_, at) => (is === 'after' ? at.atMs > atMs : at.atMs < atMs) !== not;
    }
    case 'all':
      return compileAll(condition.of, ports);
    case 'any':
    case 'none': {
      const matchers = condition.of.map((inner) => compileCondition(inner, ports));
      const isAny = condition.type === 'any';
      return (context, at) => matchers.some((matches) => matches(context, at)) === isAny;
    }
  }
}

function compileAttribute(condition: AttributeCondition, ports: ConditionPorts): Matcher {
  const { not = false, ifMissing = false } = condition;
  const read = compileReader(condition);
  if (read === undefined) return malformed(`the attribute ${JSON.stringify(condition.attribute)} is not a reference`, ports);
  const test = compileValueTest(condition, ports);
  return (context) => {
    const value = read(context);
    return value === undefined || value === null ? ifMissing : test(value) !== not;
  };
}

function compileShare(
  { weight, total = BUCKET_COUNT, inclusive = false, bucketing }: ShareCondition,
  ports: ConditionPorts,
): Matcher {
  const scale = compileScale(bucketing, [weight], total);
  if (scale === undefined) return malformed('an attribute that a share is bucketed by is not a reference', ports);
  const { point, borders } = scale;
  const [border = 0] = borders;
  if (inclusive) return (context, at) => point(context, at) <= border;
  return (context, at) => point(context, at) < border;
}

function malformed(problem: string, { fault, report }: ConditionPorts): Matcher {
  report(problem);
  return () => {
    fault.message ??= problem;
    return false;
  };
}

/** Included, else excluded, else any rule. */
export function compileSegment(segment: Segment, ports: ConditionPorts): Matcher {
  const isIncluded = compileKeys(segment.included);
  const isExcluded = compileKeys(segment.excluded);
  const rules = segment.rules.map((rule) => compileAll(rule.all, ports));
  const message = `the segment "${segment.key}" refers to itself through other segments`;
  let isEntered = false;
  return (context, at) => {
    if (isEntered) {
      ports.fault.message ??= message;
      return false;
    }
    if (isIncluded(context)) return true;
    if (isExcluded(context)) return false;
    isEntered = true;
    try {
      return rules.some((matches) => matches(context, at));
    } finally {
      isEntered = false;
    }
  };
}

function compileKeys(lists: readonly KeyList[]): (context: Context) => boolean {
  const sets = lists.map(({ kind = DEFAULT_KIND, keys }) => ({
    read: compileReader({ kind, attribute: 'key' }),
    keys: new Set<unknown>(keys),
  }));
  return (context) => sets.some(({ read, keys }) => keys.has(read?.(context)));
}
