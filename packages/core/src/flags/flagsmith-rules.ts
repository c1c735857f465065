/** Our conditions as Flagsmith's segment rules. The renderer for Flagsmith depends on it. */
import type { AttributeCondition, Condition, Operator, ShareCondition } from './condition.ts';
import { type AttributeReference, DEFAULT_KIND, type JsonValue } from './context.ts';
import type { FlagsmithDocumentCondition, FlagsmithDocumentRule } from './flagsmith-model.ts';
import type { Lose } from './import-report.ts';
import type { KeyList, Segment } from './segment.ts';

/** What the rules of one flag are written with. */
export interface FlagsmithRules {
  readonly segments: readonly Segment[];
  readonly lose: Lose;
}

const OPERATORS: Readonly<Partial<Record<Operator, string>>> = {
  in: 'IN',
  equals: 'EQUAL',
  'number-equals': 'EQUAL',
  contains: 'CONTAINS',
  matches: 'REGEX',
  'less-than': 'LESS_THAN',
  'less-than-or-equal': 'LESS_THAN_INCLUSIVE',
  'greater-than': 'GREATER_THAN',
  'greater-than-or-equal': 'GREATER_THAN_INCLUSIVE',
  'semver-equals': 'EQUAL',
  'semver-less-than': 'LESS_THAN',
  'semver-less-than-or-equal': 'LESS_THAN_INCLUSIVE',
  'semver-greater-than': 'GREATER_THAN',
  'semver-greater-than-or-equal': 'GREATER_THAN_INCLUSIVE',
  modulo: 'MODULO',
};

const IDENTIFIER = '$.identity.identifier';

/** Everybody: a rule without conditions. */
const EVERYBODY: FlagsmithDocumentRule = { type: 'ALL', conditions: [], rules: [] };

/** @returns undefined when a condition has no place there; it was reported */
export function flagsmithRule(conditions: readonly Condition[], target: FlagsmithRules): FlagsmithDocumentRule | undefined {
  return ruleOf({ type: 'all', of: conditions }, target);
}

function ruleOf(condition: Condition, target: FlagsmithRules): FlagsmithDocumentRule | undefined {
  switch (condition.type) {
    case 'attribute':
      return attributeRule(condition, target.lose);
    case 'segment': {
      const members = join(
        'ANY',
        condition.segments.map((key) => segmentRule(key, target)),
      );
      return condition.not === true ? join('NONE', [members]) : members;
    }
    case 'share':
      return leaf(percentageOf(condition));
    case 'time':
      target.lose('A condition on the time has no place here; the rule is left out.');
      return undefined;
    case 'all':
    case 'any':
    case 'none': {
      const type = { all: 'ALL', any: 'ANY', none: 'NONE' } as const;
      return join(
        type[condition.type],
        condition.of.map((inner) => ruleOf(inner, target)),
      );
    }
  }
}

/** Rules below a rule, joined by its type. An empty ANY would hold there, so nobody is written as the opposite of everybody. */
function join(
  type: 'ALL' | 'ANY' | 'NONE',
  rules: readonly (FlagsmithDocumentRule | undefined)[],
): FlagsmithDocumentRule | undefined {
  if (rules.includes(undefined)) return undefined;
  if (type === 'ANY' && rules.length === 0) return { type: 'NONE', conditions: [], rules: [EVERYBODY] };
  return { type, conditions: [], rules: rules.filter((rule) => rule !== undefined) };
}

function leaf(condition: FlagsmithDocumentCondition): FlagsmithDocumentRule {
  return { type: 'ALL', conditions: [condition], rules: [] };
}

/** The identity's key is hashed with the id of the segment that the condition stands in. */
function percentageOf({ weight, total = 100_000 }: ShareCondition): FlagsmithDocumentCondition {
  return { operator: 'PERCENTAGE_SPLIT', property_: '$.identity.key', value: String((weight * 100) / total) };
}

function segmentRule(key: string, target: FlagsmithRules): FlagsmithDocumentRule | undefined {
  const segment = target.segments.find((candidate) => candidate.key === key);
  if (segment === undefined) return join('ANY', []);
  // Without itself, so that segments that refer to each other in a circle end.
  const inner = { ...target, segments: target.segments.filter((candidate) => candidate !== segment) };
  const rules = join(
    'ANY',
    segment.rules.map(({ all }) => flagsmithRule(all, inner)),
  );
  const excluded = join('NONE', [membersRule(segment.excluded, target.lose)]);
  return join('ANY', [membersRule(segment.included, target.lose), join('ALL', [excluded, rules])]);
}

function membersRule(lists: readonly KeyList[], lose: Lose): FlagsmithDocumentRule | undefined {
  const users = lists.filter(({ kind = DEFAULT_KIND }) => kind === DEFAULT_KIND);
  if (users.length < lists.length) lose('Members of a segment that are no users have no place here.');
  const keys = users.flatMap((list) => list.keys);
  return keys.length === 0 ? join('ANY', []) : keysRule(keys);
}

/** Identities by their ids, of which there is at least one. */
export function keysRule(keys: readonly string[]): FlagsmithDocumentRule {
  return leaf({ operator: 'IN', property_: IDENTIFIER, value: listText(keys) });
}

/** Whether a value may stand in a list with commas, which is how SDKs write identities that are pinned. */
export function isListable(value: string): boolean {
  return !value.includes(',') && !value.startsWith('[');
}

/** Lists are written with commas, and as JSON when an element has one. */
function listText(values: readonly string[]): string {
  return values.every(isListable) ? values.join(',') : JSON.stringify(values);
}

/** An absent trait fails every condition there; what holds for it is written out. */
function attributeRule(condition: AttributeCondition, lose: Lose): FlagsmithDocumentRule | undefined {
  const { operator, not = false, ifMissing = false } = condition;
  const property = propertyOf(condition);
  if (property === undefined) {
    lose(
      `The attribute "${condition.attribute}" of "${condition.kind ?? DEFAULT_KIND}" has no place here; the rule is left out.`,
    );
    return undefined;
  }
  const isSet = leaf({ operator: 'IS_SET', property_: property, value: '' });
  const isNotSet = leaf({ operator: 'IS_NOT_SET', property_: property, value: '' });
  const holds = operator === 'present' ? isSet : testRule(condition, property, lose);
  if (not && ifMissing) return join('NONE', [holds]);
  if (not) return join('ALL', [isSet, join('NONE', [holds])]);
  return ifMissing ? join('ANY', [holds, isNotSet]) : holds;
}

function propertyOf({ kind = DEFAULT_KIND, attribute }: AttributeReference): string | undefined {
  if (kind === 'environment') return `$.environment.${attribute}`;
  if (kind !== DEFAULT_KIND || attribute.startsWith('/')) return undefined;
  return attribute === 'key' ? IDENTIFIER : attribute;
}

function testRule(condition: AttributeCondition, property: string, lose: Lose): FlagsmithDocumentRule | undefined {
  const { operator, values, ignoreCase = false, compare } = condition;
  const lost = (): undefined => {
    lose(
      `The operator "${operator}"${ignoreCase ? ' without upper and lower case' : ''} has no place here; the rule is left out.`,
    );
  };
  if (ignoreCase) return lost();
  if (operator === 'starts-with' || operator === 'ends-with') {
    const texts = values.map((value) => escapedPattern(plainText(value)));
    // Anchored in front, because Flagsmith's engine for Python is.
    const pattern = operator === 'starts-with' ? `^(?:${texts.join('|')})` : `^[\\s\\S]*(?:${texts.join('|')})$`;
    return leaf({ operator: 'REGEX', property_: property, value: pattern });
  }
  const name = OPERATORS[operator];
  if (name === undefined) return lost();
  if (operator === 'matches' && values.some((value) => !plainText(value).startsWith('^'))) {
    lose("A pattern is searched for anywhere in a text, but from its beginning by Flagsmith's engine for Python.");
  }
  if (compare === 'text' && operator.includes('than')) {
    lose(`The condition on "${property}" compares numbers; here a trait that is a text is compared as a text.`);
  }
  if (operator === 'in' && values.every((value) => typeof value !== 'boolean')) {
    return values.length === 0
      ? join('ANY', [])
      : leaf({ operator: name, property_: property, value: listText(values.map(plainText)) });
  }
  const suffix = operator.startsWith('semver') ? ':semver' : '';
  const single = operator === 'in' ? 'EQUAL' : name;
  return join(
    'ANY',
    values.map((value) => leaf({ operator: single, property_: property, value: plainText(value) + suffix })),
  );
}

function escapedPattern(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function plainText(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
