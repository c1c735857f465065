/** Our conditions as Unleash's constraints. The renderer for Unleash depends on it. */
import { murmur3 } from '../murmur3.ts';
import type { AttributeCondition, Condition, Operator, ShareCondition } from './condition.ts';
import { type AttributeReference, DEFAULT_KIND, type JsonValue } from './context.ts';
import type { Lose } from './import-report.ts';
import { instantText } from './instant.ts';
import { listsOf, type SimpleCondition } from './normal-form.ts';
import type { UnleashConstraint } from './unleash-model.ts';

/** What must hold for a strategy. */
export interface UnleashConditions {
  readonly constraints: readonly UnleashConstraint[];
  readonly segments: readonly number[];
  /** Parameters of its percentage. */
  readonly rollout?: Readonly<Record<string, string>>;
}

const OPERATORS: Readonly<Partial<Record<Operator, string>>> = {
  in: 'IN',
  equals: 'IN',
  'starts-with': 'STR_STARTS_WITH',
  'ends-with': 'STR_ENDS_WITH',
  contains: 'STR_CONTAINS',
  'in-network': 'IN_CIDR',
  'number-equals': 'NUM_EQ',
  'less-than': 'NUM_LT',
  'less-than-or-equal': 'NUM_LTE',
  'greater-than': 'NUM_GT',
  'greater-than-or-equal': 'NUM_GTE',
  'semver-equals': 'SEMVER_EQ',
  'semver-less-than': 'SEMVER_LT',
  'semver-less-than-or-equal': 'SEMVER_LTE',
  'semver-greater-than': 'SEMVER_GT',
  'semver-greater-than-or-equal': 'SEMVER_GTE',
  matches: 'REGEX',
  present: 'REGEX',
};

const LIST_OPERATORS: ReadonlySet<string> = new Set(['IN', 'STR_STARTS_WITH', 'STR_ENDS_WITH', 'STR_CONTAINS', 'IN_CIDR']);

/** Segments have whole numbers there: the key itself when it is one, else a hash of it that never changes. */
export function unleashSegmentId(key: string): number {
  return /^[1-9]\d{0,8}$/.test(key) ? Number(key) : (murmur3(key, 0) >>> 1) + 1;
}

/** The field of Unleash's context that an attribute is; undefined when there is none. */
export function unleashContextName({ kind = DEFAULT_KIND, attribute }: AttributeReference): string | undefined {
  if (kind !== DEFAULT_KIND || attribute.startsWith('/') || attribute === '') return undefined;
  return attribute === 'key' ? 'userId' : attribute;
}

/** One list for each strategy; a list that cannot be said is left out and reported. */
export function unleashConditions(
  conditions: readonly Condition[],
  lose: Lose,
): { readonly lists: readonly UnleashConditions[] } {
  const lists = listsOf(conditions);
  if (lists === undefined) lose('The conditions of a rule are too deeply nested for lists of constraints; the rule is left out.');
  return { lists: (lists ?? []).flatMap((list) => renderList(list, lose) ?? []) };
}

function renderList(list: readonly SimpleCondition[], lose: Lose): UnleashConditions | undefined {
  const constraints: UnleashConstraint[] = [];
  const segments: number[] = [];
  let rollout: Readonly<Record<string, string>> | undefined;
  for (const condition of list) {
    if (condition.type === 'attribute') {
      const rendered = renderAttribute(condition, lose);
      if (rendered === undefined) return undefined;
      constraints.push(...rendered);
    } else if (condition.type === 'time') {
      const { is, atMs, not = false } = condition;
      const operator = is === 'after' ? 'DATE_AFTER' : 'DATE_BEFORE';
      constraints.push({ contextName: 'currentTime', operator, value: instantText(atMs), inverted: not });
    } else if (condition.type === 'segment') {
      const [only, ...others] = condition.segments;
      if (condition.not === true || others.length > 0 || only === undefined) {
        lose('Segments can only be asked for together here, and never for not being in one; the rule is left out.');
        return undefined;
      }
      segments.push(unleashSegmentId(only));
    } else {
      const rendered = rollout === undefined ? renderShare(condition) : undefined;
      if (rendered === undefined) {
        lose(
          'A sticky percentage that is not of whole hundredths in the hash of Unleash has no place here; the rule is left out.',
        );
        return undefined;
      }
      rollout = rendered;
    }
  }
  return { constraints, segments, ...(rollout === undefined ? {} : { rollout }) };
}

function renderShare({ weight, total, bucketing }: ShareCondition): Readonly<Record<string, string>> | undefined {
  const [by = { attribute: 'key' }] = bucketing.by ?? [];
  const stickiness = bucketing.by?.length === 0 ? 'random' : unleashContextName(by);
  if (bucketing.profile !== 'unleash-rollout' || total !== 100 || stickiness === undefined) return undefined;
  return { rollout: String(weight), stickiness, groupId: bucketing.salt };
}

/** One constraint for each value where Unleash takes a single one; only the opposite of a list is a list again. */
function renderAttribute(condition: AttributeCondition, lose: Lose): readonly UnleashConstraint[] | undefined {
  const { operator, values, not: inverted = false, ifMissing = false, ignoreCase: caseInsensitive = false } = condition;
  const contextName = unleashContextName(condition);
  const name = OPERATORS[operator];
  if (contextName === undefined || name === undefined) {
    const what = name === undefined ? `The operator "${operator}"` : `The attribute "${condition.attribute}"`;
    lose(`${what} has no place here; the rule is left out.`);
    return undefined;
  }
  if (inverted !== ifMissing) {
    lose(`For users without "${condition.attribute}" the condition is ${ifMissing}, but ${inverted} here.`);
  }
  const shared = { contextName, operator: name, inverted, caseInsensitive };
  if (operator === 'present') return [{ ...shared, value: '^' }];
  if (LIST_OPERATORS.has(name)) return [{ ...shared, values: values.map(plainText) }];
  if (values.length === 1 || inverted) return values.map((value) => ({ ...shared, value: plainText(value) }));
  lose(`The operator "${operator}" takes one value here; the rule is left out.`);
  return undefined;
}

function plainText(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
