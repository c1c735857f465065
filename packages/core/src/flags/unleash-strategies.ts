/** Unleash's strategies and constraints as conditions. The import of Unleash depends on it. */
import type { Bucketing } from './bucketing-profile.ts';
import { type AttributeCondition, type Condition, NOBODY, type Operator } from './condition.ts';
import { type AttributeReference, literalAttribute } from './context.ts';
import type { Lose } from './import-report.ts';
import { parseInstant } from './instant.ts';
import type { UnleashConstraint, UnleashStrategy } from './unleash-model.ts';

/** The user's id is our key; every other field and property is an attribute of the user. */
export function unleashAttribute(contextName: string): AttributeReference {
  return { attribute: contextName === 'userId' ? 'key' : literalAttribute(contextName) };
}

const LIST_OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ['IN', 'in'],
  ['NOT_IN', 'in'],
  ['STR_STARTS_WITH', 'starts-with'],
  ['STR_ENDS_WITH', 'ends-with'],
  ['STR_CONTAINS', 'contains'],
  ['IN_CIDR', 'in-network'],
]);

const VALUE_OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ['NUM_EQ', 'number-equals'],
  ['NUM_GT', 'greater-than'],
  ['NUM_GTE', 'greater-than-or-equal'],
  ['NUM_LT', 'less-than'],
  ['NUM_LTE', 'less-than-or-equal'],
  ['SEMVER_EQ', 'semver-equals'],
  ['SEMVER_GT', 'semver-greater-than'],
  ['SEMVER_GTE', 'semver-greater-than-or-equal'],
  ['SEMVER_LT', 'semver-less-than'],
  ['SEMVER_LTE', 'semver-less-than-or-equal'],
  ['REGEX', 'matches'],
]);

/** In Unleash an absent attribute fails every test, and turning a test around turns that around too. */
export function importUnleashConstraint(constraint: UnleashConstraint, lose: Lose): Condition {
  const { operator, contextName, values = [], value = '', inverted = false, caseInsensitive = false } = constraint;
  if (operator === 'DATE_AFTER' || operator === 'DATE_BEFORE') return importDate(constraint, lose);
  const byList = LIST_OPERATORS.get(operator);
  const known = byList ?? VALUE_OPERATORS.get(operator);
  if (known === undefined) {
    lose(`The operator "${operator}" is unknown; its constraint never matches, as in Unleash.`);
    return NOBODY;
  }
  const not = (operator === 'NOT_IN') !== inverted;
  const hasCase = caseInsensitive && (operator.startsWith('STR_') || operator === 'REGEX');
  const condition: AttributeCondition = {
    type: 'attribute',
    ...unleashAttribute(contextName),
    operator: known,
    values: byList === undefined ? [value] : cleaned(values),
    compare: 'text',
  };
  return { ...condition, ...(not ? { not, ifMissing: true } : {}), ...(hasCase ? { ignoreCase: true } : {}) };
}

function cleaned(values: readonly string[]): readonly string[] {
  return values.filter((value) => value !== '').map((value) => value.trim());
}

/** Unleash compares dates with the time of the evaluation, whatever the constraint's context field says. */
function importDate({ operator, value = '', inverted = false }: UnleashConstraint, lose: Lose): Condition {
  const atMs = parseInstant(/^\d{4}-\d\d-\d\d$/.test(value) ? `${value}T00:00:00Z` : value);
  const not = inverted ? { not: true } : {};
  if (atMs !== undefined) return { type: 'time', is: operator === 'DATE_AFTER' ? 'after' : 'before', atMs, ...not };
  lose(`The date "${value}" cannot be read; its constraint ${inverted ? 'always' : 'never'} matches.`);
  return inverted ? { type: 'none', of: [] } : NOBODY;
}

/** @returns what must hold for the strategy; undefined when Unleash itself would skip it */
export function importStrategyConditions(
  strategy: UnleashStrategy,
  feature: string,
  lose: Lose,
): readonly Condition[] | undefined {
  const gate = importGate(strategy, feature, lose);
  if (gate === undefined) return undefined;
  const constraints = (strategy.constraints ?? []).map((constraint) => importUnleashConstraint(constraint, lose));
  const segments = (strategy.segments ?? []).map((id): Condition => ({ type: 'segment', segments: [String(id)] }));
  return [...constraints, ...segments, ...gate];
}

/** The group that a strategy hashes users with. */
export function unleashGroup({ parameters = {} }: UnleashStrategy, feature: string, lose: Lose): string {
  const group = parameters['groupId'] ?? '';
  if (group !== '') return group;
  lose(`A strategy has no group id, and Unleash's SDKs do not agree on what they hash then; here it is the flag's name.`);
  return feature;
}

function importGate(strategy: UnleashStrategy, feature: string, lose: Lose): readonly Condition[] | undefined {
  const { name, parameters = {} } = strategy;
  switch (name) {
    case 'default':
      return [];
    case 'userWithId':
      return [{ type: 'attribute', attribute: 'key', operator: 'in', values: listed(parameters['userIds']), compare: 'text' }];
    case 'remoteAddress':
      return [importAddresses(parameters['IPs'])];
    case 'flexibleRollout':
      return importRollout(strategy, feature, lose);
    case 'gradualRolloutUserId':
      return [share(parameters['percentage'], stickyTo('userId', parameters['groupId']))];
    case 'gradualRolloutSessionId':
      return [share(parameters['percentage'], stickyTo('sessionId', parameters['groupId']))];
    case 'gradualRolloutRandom':
      return [share(parameters['percentage'], { profile: 'unleash-rollout', salt: '', by: [], whenMissing: 'random' })];
    default:
      lose(`The strategy "${name}" is unknown here and never matches, as in an SDK that does not know it.`);
      return undefined;
  }
}

function importRollout(strategy: UnleashStrategy, feature: string, lose: Lose): readonly Condition[] {
  const { stickiness = 'default', rollout } = strategy.parameters ?? {};
  // Everybody: no hash, but a custom attribute must still be there.
  const salt = Number(rollout) >= 100 && isChanceAllowed(stickiness) ? '' : unleashGroup(strategy, feature, lose);
  if (stickiness === 'random') return [share(rollout, { profile: 'unleash-rollout', salt, by: [], whenMissing: 'random' })];
  if (!isChanceAllowed(stickiness)) return [share(rollout, stickyTo(stickiness, salt))];
  if (Number(rollout) >= 100) return [];
  const by = ['userId', 'sessionId'].map(unleashAttribute);
  return [share(rollout, { profile: 'unleash-rollout', salt, by, whenMissing: 'random' })];
}

function isChanceAllowed(stickiness: string): boolean {
  return stickiness === 'default' || stickiness === 'random' || stickiness === '';
}

function stickyTo(contextName: string, group = ''): Bucketing {
  return { profile: 'unleash-rollout', salt: group, by: [unleashAttribute(contextName)], whenMissing: 'none' };
}

/** Unleash's percentages are whole: users fall into hundredths, 1 to 100. */
function share(percentage: string | undefined, bucketing: Bucketing): Condition {
  const percent = Math.floor(Number(percentage));
  return { type: 'share', weight: Number.isNaN(percent) ? 0 : Math.min(100, Math.max(0, percent)), total: 100, bucketing };
}

function importAddresses(addresses: string | undefined): Condition {
  const values = listed(addresses);
  const remote = { type: 'attribute', attribute: 'remoteAddress', values, compare: 'text' } as const;
  return {
    type: 'any',
    of: [
      { ...remote, operator: 'in' },
      { ...remote, operator: 'in-network' },
    ],
  };
}

function listed(text = ''): readonly string[] {
  return text === '' ? [] : text.split(/\s*,\s*/);
}
