/** How a flag came to its answer, step by step in sentences. The control API shows it to people; protocols do without. */
import { BUCKET_COUNT } from '../bucketing.ts';
import { type Circumstances, compileScale } from './bucketing-profile.ts';
import type { AttributeCondition, Condition } from './condition.ts';
import { type Context, compileReader, DEFAULT_KIND, type JsonValue } from './context.ts';
import type { Evaluation } from './evaluation.ts';
import { compileFlags, type EvaluatorPorts, type FlagDocuments } from './evaluator.ts';
import { type Flag, isScheduled, type Prerequisite, type Serve, type Split } from './flag.ts';
import type { Segment } from './segment.ts';

/** One step of an evaluation; the last one decided. */
export interface WhyStep {
  readonly step: 'switch' | 'schedule' | 'prerequisite' | 'pin' | 'rule' | 'fallthrough' | 'error';
  readonly sentence: string;
}

/** An answer and the way to it. */
export interface Explanation {
  readonly evaluation: Evaluation;
  readonly why: readonly WhyStep[];
}

/** Whom the question is about. */
export interface Subject {
  readonly context: Context;
  readonly circumstances: Circumstances;
}

interface World extends Subject {
  readonly documents: FlagDocuments;
  readonly ports: EvaluatorPorts;
}

/** Evaluates one flag and says how. Compiles the documents anew, so it is for people's questions and not for traffic. */
export function explainFlag(documents: FlagDocuments, key: string, subject: Subject & EvaluatorPorts): Explanation {
  // Asked more than once, chance must say the same.
  const chance = subject.circumstances.random();
  const circumstances: Circumstances = { atMs: subject.circumstances.atMs, random: () => chance };
  const world: World = { documents, ports: subject, context: subject.context, circumstances };
  const evaluation = evaluate(world, key);
  const flag = documents.flags.find((candidate) => candidate.key === key);
  return { evaluation, why: flag === undefined ? errorSteps(evaluation) : stepsOf(flag, evaluation, world) };
}

function evaluate({ documents, ports, context, circumstances }: World, key: string): Evaluation {
  return compileFlags(documents, ports).evaluate(key, context, circumstances);
}

function errorSteps({ detail }: Evaluation): readonly WhyStep[] {
  return detail.kind === 'error' ? [{ step: 'error', sentence: `The evaluation failed: ${detail.message}.` }] : [];
}

function stepsOf(flag: Flag, evaluation: Evaluation, world: World): readonly WhyStep[] {
  const { detail } = evaluation;
  const off = flag.offVariant === undefined ? "the caller's default" : `the off variant "${flag.offVariant}"`;
  if (detail.kind === 'error') return errorSteps(evaluation);
  if (!flag.on) return [{ step: 'switch', sentence: `The flag is switched off: everybody gets ${off}.` }];
  const steps: WhyStep[] = [{ step: 'switch', sentence: 'The flag is on.' }, ...scheduleSteps(flag, { off, world })];
  if (detail.kind === 'unscheduled') return steps;
  const failed = detail.kind === 'prerequisite' ? detail.flag : undefined;
  for (const prerequisite of flag.prerequisites) {
    const isFailed = prerequisite.flag === failed;
    steps.push({ step: 'prerequisite', sentence: prerequisiteSentence(prerequisite, { isFailed, off, world }) });
    if (isFailed) return steps;
  }
  if (detail.kind === 'pin') {
    return [...steps, { step: 'pin', sentence: `Pinned: the subject's key is listed for "${evaluation.variant ?? ''}".` }];
  }
  if (flag.pins.length > 0) steps.push({ step: 'pin', sentence: 'No pin lists the subject.' });
  for (const [index, rule] of flag.rules.entries()) {
    const name = `Rule ${index + 1}${rule.id === undefined ? '' : ` (${rule.id})`}`;
    if (detail.kind === 'rule' && detail.index === index) {
      const holds = rule.all.length === 0 ? 'has no conditions' : 'holds';
      return [...steps, { step: 'rule', sentence: `${name} ${holds}: ${serveSentence(flag, rule.serve, world)}` }];
    }
    const unmet = rule.all.find((condition) => !isMet(condition, world));
    const because = unmet === undefined ? '' : `: ${conditionWords(unmet, world)}`;
    steps.push({ step: 'rule', sentence: `${name} does not hold${because}.` });
  }
  return [...steps, { step: 'fallthrough', sentence: `Fallthrough: ${serveSentence(flag, flag.fallthrough, world)}` }];
}

interface Place {
  readonly off: string;
  readonly world: World;
}

function scheduleSteps({ schedule }: Flag, { off, world }: Place): readonly WhyStep[] {
  if (schedule === undefined) return [];
  const { atMs } = world.circumstances;
  if (isScheduled(schedule, atMs)) return [{ step: 'schedule', sentence: 'The schedule lets it be on at this time.' }];
  const isEarly = schedule.fromMs !== undefined && atMs < schedule.fromMs;
  return [{ step: 'schedule', sentence: `The schedule ${isEarly ? 'has not begun' : 'is over'}: everybody gets ${off}.` }];
}

function prerequisiteSentence(
  prerequisite: Prerequisite,
  { isFailed, off, world }: Place & { readonly isFailed: boolean },
): string {
  const { variant, isEnabled, detail } = evaluate(world, prerequisite.flag);
  const state = detail.kind === 'error' ? detail.message : `it gives ${variant === undefined ? 'no variant' : `"${variant}"`}`;
  const wanted =
    'variants' in prerequisite
      ? `one of ${prerequisite.variants.map((name) => `"${name}"`).join(', ')}, while on`
      : `to be ${prerequisite.enabled ? 'enabled' : 'disabled'} (it is ${isEnabled ? 'enabled' : 'disabled'})`;
  const outcome = isFailed ? `is not met: everybody for whom it is not gets ${off}` : 'is met';
  return `The prerequisite "${prerequisite.flag}", ${wanted}, ${outcome}; ${state}.`;
}

/** Asks the evaluator itself, through a segment that has only this condition. */
function isMet(condition: Condition, { documents, ports, context, circumstances }: World): boolean {
  // No document has a key this long.
  const key = '?'.repeat(201);
  const probe: Segment = { key, included: [], excluded: [], rules: [{ all: [condition] }] };
  const segments = [...documents.segments, probe];
  return compileFlags({ flags: [], segments }, ports).isInSegment(key, context, circumstances);
}

function conditionWords(condition: Condition, world: World): string {
  switch (condition.type) {
    case 'attribute':
      return attributeWords(condition, world);
    case 'segment': {
      const names = condition.segments.map((key) => `"${key}"`).join(', ');
      return condition.not === true
        ? `the subject is in one of the segments ${names}`
        : `the subject is in none of the segments ${names}`;
    }
    case 'share': {
      const percent = (condition.weight * 100) / (condition.total ?? BUCKET_COUNT);
      return `the subject is not in the share of ${round(percent)} %`;
    }
    case 'time':
      return `it is not ${condition.not === true ? 'outside of the time ' : ''}${condition.is} the moment that is asked for`;
    case 'all':
    case 'any':
    case 'none':
      return { all: 'not all', any: 'none', none: 'some' }[condition.type] + ' of a group of conditions hold';
  }
}

function attributeWords(condition: AttributeCondition, { context }: World): string {
  const { kind = DEFAULT_KIND, attribute, operator, values, not = false } = condition;
  const name = kind === DEFAULT_KIND ? `"${attribute}"` : `"${attribute}" of "${kind}"`;
  const value = compileReader(condition)?.(context);
  if (value === undefined || value === null) return `the context has no ${name}`;
  const listed =
    values
      .slice(0, 5)
      .map((one) => text(one))
      .join(', ') + (values.length > 5 ? ', …' : '');
  const test = `${operator.replaceAll('-', ' ')}${values.length === 0 ? '' : ` ${listed}`}`;
  return `${name} is ${text(value)}, asked for is ${not ? 'not ' : ''}"${test}"`;
}

function serveSentence(flag: Flag, serve: Serve, world: World): string {
  return 'split' in serve ? splitSentence(flag, serve.split, world) : `"${serve.variant}".`;
}

function splitSentence(flag: Flag, { slices, total = BUCKET_COUNT, bucketing = flag.bucketing }: Split, world: World): string {
  const weights = slices.map(({ weight }) => weight);
  const scale = compileScale(bucketing, weights, total);
  if (scale === undefined || slices.length === 0) return 'the split cannot be used.';
  const point = scale.point(world.context, world.circumstances);
  const found = scale.borders.findIndex((border) => point < border);
  const index = found === -1 ? slices.length - 1 : found;
  // Borders are in the unit of the hash; people think in percent.
  const last = scale.borders.at(-1) ?? 0;
  const percentOf = (value: number): string => `${round(last === 0 ? 0 : (value * 100) / last)} %`;
  const from = index === 0 ? 0 : (scale.borders[index - 1] ?? 0);
  const range = `${percentOf(from)} to ${percentOf(index === slices.length - 1 ? last : (scale.borders[index] ?? 0))}`;
  const place = Number.isNaN(point)
    ? 'the context lacks what subjects are told apart by, so the last slice counts'
    : `the subject's bucket is ${bucketWords(point, { profile: bucketing.profile, total })} (at ${percentOf(point)}, hash "${bucketing.profile}" with salt "${bucketing.salt}")${missingWords(flag, bucketing, world)}`;
  return `${place}, in the slice from ${range}, which is "${slices[index]?.variant ?? ''}".`;
}

function bucketWords(point: number, { profile, total }: { readonly profile: string; readonly total: number }): string {
  if (profile === 'launchdarkly') return point.toFixed(6);
  return profile === 'flagsmith' ? point.toFixed(3) : `${point} of ${total}`;
}

function missingWords(flag: Flag, bucketing: Flag['bucketing'], { context }: World): string {
  const references = bucketing.by ?? [{ attribute: 'key' }];
  const isThere = references.some((reference) => {
    const value = compileReader(reference)?.(context);
    return value !== undefined && value !== null && value !== '';
  });
  if (isThere) return '';
  const names = references.map(({ kind = DEFAULT_KIND, attribute }) =>
    kind === DEFAULT_KIND ? attribute : `${kind}.${attribute}`,
  );
  const how = bucketing.whenMissing === 'random' ? 'a random bucket' : 'the first bucket';
  return `; the context of "${flag.key}" has no ${names.join(' or ')}, so it is ${how}`;
}

function text(value: JsonValue): string {
  const json = JSON.stringify(value);
  return json.length > 80 ? `${json.slice(0, 79)}…` : json;
}

function round(percent: number): number {
  return Math.round(percent * 1000) / 1000;
}
