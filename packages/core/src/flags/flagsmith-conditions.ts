/** Flagsmith's segment rules as conditions. The import of Flagsmith depends on it. */
import type { AttributeCondition, Condition, ConditionGroup, Operator } from './condition.ts';
import { NOBODY } from './condition.ts';
import { type AttributeReference, type JsonValue, literalAttribute } from './context.ts';
import type { FlagsmithRule } from './flagsmith-model.ts';
import type { Lose } from './import-report.ts';

/** How an identity's key is found: an attribute that holds it, or a prefix before the identifier. */
export interface FlagsmithIdentityKey {
  readonly by?: readonly AttributeReference[];
  readonly prefix?: string;
}

/** What conditions of a segment need to know besides themselves. */
export interface FlagsmithTarget {
  /** The segment's key, which percentage splits hash with. */
  readonly segment: string;
  readonly identity: FlagsmithIdentityKey;
  readonly lose: Lose;
}

type FlagsmithCondition = NonNullable<FlagsmithRule['conditions']>[number];

const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ['EQUAL', 'equals'],
  ['NOT_EQUAL', 'equals'],
  ['GREATER_THAN', 'greater-than'],
  ['GREATER_THAN_INCLUSIVE', 'greater-than-or-equal'],
  ['LESS_THAN', 'less-than'],
  ['LESS_THAN_INCLUSIVE', 'less-than-or-equal'],
  ['CONTAINS', 'contains'],
  ['NOT_CONTAINS', 'contains'],
  ['REGEX', 'matches'],
  ['MODULO', 'modulo'],
  ['IN', 'in'],
  ['IS_SET', 'present'],
  ['IS_NOT_SET', 'present'],
]);

const SEMVER_OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ['EQUAL', 'semver-equals'],
  ['GREATER_THAN', 'semver-greater-than'],
  ['GREATER_THAN_INCLUSIVE', 'semver-greater-than-or-equal'],
  ['LESS_THAN', 'semver-less-than'],
  ['LESS_THAN_INCLUSIVE', 'semver-less-than-or-equal'],
]);

const SEMVER_SUFFIX = ':semver';
const IDENTITY_KEY = '$.identity.key';

/** Conditions and nested rules are two lists of which each must hold after the rule's type. */
export function importFlagsmithRule({ type, conditions = [], rules = [] }: FlagsmithRule, target: FlagsmithTarget): Condition {
  const group = GROUPS.get(type);
  if (group === undefined) {
    target.lose(`The rule type "${type}" is unknown and never matches.`);
    return NOBODY;
  }
  const lists = [
    conditions.map((condition) => importCondition(condition, target)),
    rules.map((rule) => importFlagsmithRule(rule, target)),
  ];
  const groups = lists.filter((of) => of.length > 0).map((of): ConditionGroup => ({ type: group, of }));
  const [only] = groups;
  return groups.length === 1 && only !== undefined ? only : { type: 'all', of: groups };
}

const GROUPS: ReadonlyMap<string, ConditionGroup['type']> = new Map([
  ['ALL', 'all'],
  ['ANY', 'any'],
  ['NONE', 'none'],
]);

function importCondition({ operator, property = '', value = '' }: FlagsmithCondition, target: FlagsmithTarget): Condition {
  if (operator === 'PERCENTAGE_SPLIT') return importPercentage(property, value, target);
  const text = typeof value === 'string' ? value : '';
  const isVersion = text.endsWith(SEMVER_SUFFIX) && operator !== 'NOT_CONTAINS';
  const known = (isVersion ? SEMVER_OPERATORS.get(operator) : undefined) ?? OPERATORS.get(operator);
  if (known === undefined || property === '') {
    target.lose(`The condition ${JSON.stringify({ operator, property })} is not one that Flagsmith knows and never matches.`);
    return NOBODY;
  }
  const condition: AttributeCondition = {
    type: 'attribute',
    ...propertyOf(property, target),
    operator: known,
    values: valuesOf(known, isVersion ? text.slice(0, -SEMVER_SUFFIX.length) : value),
    compare: 'cast',
  };
  if (operator === 'IS_NOT_SET') return { ...condition, not: true, ifMissing: true };
  return operator.startsWith('NOT_') ? { ...condition, not: true } : condition;
}

function valuesOf(operator: Operator, value: JsonValue): readonly JsonValue[] {
  if (operator === 'present') return [];
  if (operator !== 'in') return value === '' || value === null ? (operator === 'equals' ? [value] : []) : [value];
  if (typeof value !== 'string') return Array.isArray(value) ? value : [value];
  return listIn(value) ?? value.split(',');
}

/** Lists are written as JSON or with commas. */
function listIn(text: string): readonly JsonValue[] | undefined {
  try {
    const value: JsonValue = JSON.parse(text);
    return Array.isArray(value) ? value.filter((element) => typeof element === 'string') : undefined;
  } catch {
    return undefined;
  }
}

function importPercentage(property: string, value: JsonValue, { segment, identity, lose }: FlagsmithTarget): Condition {
  const percent = typeof value === 'number' ? value : Number.parseFloat(typeof value === 'string' ? value : '');
  if (Number.isNaN(percent)) return NOBODY;
  const isIdentity = property === '' || property === IDENTITY_KEY;
  const by = isIdentity ? identity : { by: [propertyOf(property, { segment, identity, lose })] };
  return {
    type: 'share',
    weight: percent,
    total: 100,
    inclusive: true,
    bucketing: { profile: 'flagsmith', salt: segment, whenMissing: 'none', ...by },
  };
}

/** A trait by its name, or one of the paths that Flagsmith documents; any other path is a trait with that name. */
function propertyOf(property: string, { identity, lose }: FlagsmithTarget): AttributeReference {
  const trait = /^\$\.identity\.traits(?:\.(.+)|\['(.+)'\])$/.exec(property);
  if (trait !== null) return { attribute: literalAttribute(trait[1] ?? trait[2] ?? '') };
  if (property === '$.identity.identifier') return { attribute: 'key' };
  const environment = /^\$\.environment\.(key|name)$/.exec(property)?.[1];
  if (environment !== undefined) return { kind: 'environment', attribute: environment };
  if (property === IDENTITY_KEY) {
    const [key] = identity.by ?? [];
    if (key !== undefined) return key;
    lose(`The condition on "${property}" reads the identifier: the environment's key is not before it here.`);
    return { attribute: 'key' };
  }
  return { attribute: literalAttribute(property) };
}
