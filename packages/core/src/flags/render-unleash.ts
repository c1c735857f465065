/** Writes our documents as Unleash's features, for its SDKs. Rules become strategies; the first that matches decides, as here. */
import { withRangesForSplits } from './bucket-attribute.ts';
import type { Bucketing } from './bucketing-profile.ts';
import { DEFAULT_KIND } from './context.ts';
import type { FlagDocuments } from './evaluator.ts';
import { type Flag, isEnabledVariant, isScheduled, type Prerequisite, type Serve, slicesOf } from './flag.ts';
import { openLosses, type Lose, type Loss } from './import-report.ts';
import {
  type UnleashFeature,
  type UnleashSegment,
  type UnleashState,
  type UnleashStrategy,
  type UnleashVariant,
  unleashPayload,
} from './unleash-model.ts';
import { type UnleashConditions, unleashConditions, unleashContextName, unleashSegmentId } from './unleash-constraints.ts';

/** The answer to `GET /api/client/features`, and what it cannot say. */
export interface UnleashRendering {
  readonly data: UnleashState & { readonly version: 2; readonly features: readonly RenderedFeature[] };
  readonly losses: readonly Loss[];
}

/** What SDKs expect of a feature besides what decides. */
export interface RenderedFeature extends UnleashFeature {
  readonly type: 'release';
  readonly project: 'default';
  readonly stale: boolean;
  readonly strategies: readonly UnleashStrategy[];
}

/** A schedule has no place there: the documents must be written again when one begins or ends. */
export function renderUnleash(documents: FlagDocuments, { atMs }: { readonly atMs: number }): UnleashRendering {
  const { losses, loseAbout } = openLosses();
  const features = documents.flags.map((flag) => {
    const isOn = flag.on && isScheduled(flag.schedule, atMs);
    return renderFlag({ ...withRangesForSplits(flag), on: isOn }, { documents, lose: loseAbout(flag.key) });
  });
  const segments = documents.segments.map(({ key, name = key, included, excluded, rules }): UnleashSegment => {
    const lose = loseAbout(key);
    const [rule, ...others] = rules;
    const lists = rule === undefined ? { lists: [] } : unleashConditions(rule.all, lose);
    const [list, ...more] = lists.lists;
    const isPlain = included.length + excluded.length + others.length + more.length === 0 && (list?.segments.length ?? 0) === 0;
    if (!isPlain) lose('It is more than one list of constraints, which is all a segment is here; nobody is in it.');
    const constraints = isPlain && list !== undefined ? list.constraints : [NOBODY];
    return { id: unleashSegmentId(key), name, constraints };
  });
  return { data: { version: 2, features, segments }, losses };
}

/** No value is in an empty list. */
const NOBODY = { contextName: 'userId', operator: 'IN', values: [] };

interface Target {
  readonly documents: FlagDocuments;
  readonly lose: Lose;
}

function renderFlag(flag: Flag, { documents, lose }: Target): RenderedFeature {
  const shared = { type: 'release', project: 'default', stale: false, impressionData: false, variants: [] } as const;
  const fields = { ...shared, name: flag.key, ...(flag.description === undefined ? {} : { description: flag.description }) };
  const off =
    flag.offVariant === undefined ? [] : strategiesOf(flag, { serve: { variant: flag.offVariant }, lists: EVERYBODY }, lose);
  // Off means without a variant there, so an off variant that has a value is served as everybody's.
  if (!flag.on) return { ...fields, enabled: off.length > 0, strategies: off, dependencies: [] };
  if (flag.prerequisites.length > 0 && off.length > 0) {
    lose('Where a prerequisite fails, nothing is served here: the off variant has no place.');
  }
  const dependencies = flag.prerequisites.map((prerequisite) => renderPrerequisite(prerequisite, documents, lose));
  return { ...fields, enabled: true, strategies: renderRules(flag, lose), dependencies };
}

function renderPrerequisite(prerequisite: Prerequisite, { flags }: FlagDocuments, lose: Lose) {
  const parent = flags.find(({ key }) => key === prerequisite.flag);
  if (parent !== undefined && parent.prerequisites.length > 0) {
    lose(`Its prerequisite "${prerequisite.flag}" has prerequisites itself; SDKs go one level up only and call it off.`);
  }
  const feature = prerequisite.flag;
  if ('enabled' in prerequisite) return { feature, enabled: prerequisite.enabled };
  if (parent?.type !== 'boolean') return { feature, enabled: true, variants: prerequisite.variants };
  // A boolean that is true is an enabled feature, one that is false is not.
  const values = parent.variants.filter(({ name }) => prerequisite.variants.includes(name)).map(({ value }) => value);
  if (values.includes(true) === values.includes(false)) {
    lose(`Its prerequisite "${feature}" may be true or false; here it must be on.`);
  }
  return { feature, enabled: values.includes(true) };
}

interface Serving {
  readonly serve: Serve;
  readonly lists: readonly UnleashConditions[];
}

const EVERYBODY: readonly UnleashConditions[] = [{ constraints: [], segments: [] }];

/** Pins, rules and the fallthrough as strategies; what gives a disabled variant ends the list where it can. */
function renderRules(flag: Flag, lose: Lose): readonly UnleashStrategy[] {
  const pins = flag.pins.map(({ variant, kind = DEFAULT_KIND, keys }): Serving => {
    if (kind !== DEFAULT_KIND) lose(`Pins of the kind "${kind}" have no place here.`);
    const constraints = [{ contextName: 'userId', operator: 'IN', values: kind === DEFAULT_KIND ? keys : [] }];
    return { serve: { variant }, lists: [{ constraints, segments: [] }] };
  });
  const rules = flag.rules.map(({ all, serve }): Serving => ({ serve, lists: unleashConditions(all, lose).lists }));
  const servings: readonly Serving[] = [...pins, ...rules, { serve: flag.fallthrough, lists: EVERYBODY }];
  let exclusions: UnleashConditions['constraints'] = [];
  return servings.flatMap((serving, index) => {
    const lists = serving.lists.map((list) => ({ ...list, constraints: [...list.constraints, ...exclusions] }));
    const strategies = strategiesOf(flag, { ...serving, lists }, lose);
    const isLast = servings.slice(index + 1).every(({ serve }) => isNothing(flag, serve));
    if (strategies.length > 0 || serving.lists.length === 0 || isLast) return strategies;
    const excluded = exclusionsOf(serving.lists);
    if (excluded === undefined)
      lose('A rule that switches the flag off for some has no place before one that switches it on; it is left out.');
    else exclusions = [...exclusions, ...excluded];
    return [];
  });
}

/** A strategy can only switch on; so users whom a rule switches off are kept out of the later ones. */
function exclusionsOf(lists: readonly UnleashConditions[]): UnleashConditions['constraints'] | undefined {
  const single = lists.flatMap(({ constraints, segments, rollout }) => {
    const [only] = constraints;
    const isSingle = constraints.length === 1 && segments.length === 0 && rollout === undefined;
    return isSingle && only !== undefined ? [{ ...only, inverted: only.inverted !== true }] : [];
  });
  return single.length === lists.length ? single : undefined;
}

/** Whether nobody is enabled by it. */
function isNothing(flag: Flag, serve: Serve): boolean {
  return slicesOf(serve).every(({ variant: name }) => {
    const variant = flag.variants.find((candidate) => candidate.name === name);
    return variant === undefined || !isEnabledVariant(variant, flag.type);
  });
}

function strategiesOf(flag: Flag, { serve, lists }: Serving, lose: Lose): readonly UnleashStrategy[] {
  if (isNothing(flag, serve)) return [];
  const slices = slicesOf(serve);
  const bucketing = 'split' in serve ? (serve.split.bucketing ?? flag.bucketing) : flag.bucketing;
  if ('split' in serve) loseSplit(flag, { serve, bucketing }, lose);
  const stickiness = stickinessOf(bucketing, lose);
  const variants = slices.map(({ variant, weight }) => renderVariant(flag, { variant, weight, stickiness }, lose));
  return lists.map(({ constraints, segments, rollout }): UnleashStrategy => {
    // Everybody, also who has no key: with the stickiness of the variants, SDKs switch the flag off for those.
    const parameters = { rollout: '100', stickiness: 'default', groupId: bucketing.salt, ...rollout };
    return { name: 'flexibleRollout', parameters, constraints, segments, variants };
  });
}

function loseSplit(flag: Flag, { serve, bucketing }: { serve: Serve; bucketing: Bucketing }, lose: Lose): void {
  if (bucketing.profile !== 'unleash') {
    lose(`Its buckets are those of "${bucketing.profile}": the same shares, but other users than on the server.`);
  }
  const enabled = slicesOf(serve).filter(({ variant }) => !isNothing(flag, { variant })).length;
  if (enabled > 0 && enabled < slicesOf(serve).length) {
    lose('A percentage is on by its variant, not by itself: ask for the variant, as everybody in it counts as enabled here.');
  }
}

/** Without an attribute of its own, Unleash tries user, session and address in turn. */
function stickinessOf({ by = [{ attribute: 'key' }], whenMissing }: Bucketing, lose: Lose): string {
  const names = by.map((reference) => unleashContextName(reference));
  if (names.join() === 'userId,sessionId,remoteAddress') return 'default';
  const [first = 'random', ...others] = names;
  if (others.length > 0) lose(`A split falls back to other attributes than "${first}"; here it reads this one only.`);
  if (whenMissing === undefined || whenMissing === 'first') lose('Users without a key get a random variant here.');
  return first ?? 'random';
}

interface VariantShare {
  readonly variant: string;
  readonly weight: number;
  readonly stickiness: string;
}

function renderVariant(flag: Flag, { variant: name, weight, stickiness }: VariantShare, lose: Lose): UnleashVariant {
  const value = flag.variants.find((variant) => variant.name === name)?.value;
  if (value === undefined) lose(`It gives the variant "${name}", which it does not have.`);
  return { name, weight, stickiness, payload: unleashPayload(value ?? null) };
}
