/** Splits of contexts that have nobody to bucket: LaunchDarkly's SDKs would give all of them the first slice, which in a rollout is the challenger. Its renderer depends on it. */
import type { Condition } from './condition.ts';
import type { Flag, Rule, Serve, Split } from './flag.ts';

/**
 * The same flag, in which such contexts get the last slice unless the flag wants the first one for them. Where the flag wants
 * chance, which SDKs do not have, the last slice is the one that is on trial least.
 */
export function withSubjectsOnly(flag: Flag): Flag {
  const rules = flag.rules.flatMap((rule) => divided(rule, flag) ?? [rule]);
  const rest = divided({ id: 'fallthrough', all: [], serve: flag.fallthrough }, flag);
  if (rest === undefined) return { ...flag, rules };
  const [withSubject, without] = rest;
  return { ...flag, rules: [...rules, withSubject], fallthrough: without.serve };
}

/** A rule for contexts with a subject and one for those without; undefined when one is enough. */
function divided(rule: Rule, flag: Flag): readonly [withSubject: Rule, without: Rule] | undefined {
  if (!('split' in rule.serve)) return undefined;
  const { bucketing = flag.bucketing, slices }: Split = rule.serve.split;
  const { whenMissing = 'first', by: [subject = { attribute: 'key' }] = [] } = bucketing;
  const last = slices.at(-1);
  if (whenMissing === 'first' || last === undefined) return undefined;
  const isThere: Condition = { type: 'attribute', ...subject, operator: 'present', values: [] };
  const serve: Serve = { variant: last.variant };
  return [
    { ...rule, all: [...rule.all, isThere] },
    { ...rule, serve },
  ];
}
