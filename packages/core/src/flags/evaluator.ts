/** Evaluates flags: documents are compiled once into closures, and every question after that is a few calls and a hash. */
import { type Circumstances, compileScale } from './bucketing-profile.ts';
import { compileAll, compileSegment, type ConditionPorts, type Fault, type Matcher } from './condition-compiler.ts';
import { type AttributeReader, type Context, compileReader, DEFAULT_KIND } from './context.ts';
import { errorEvaluation, type Evaluation, type EvaluationDetail, type EvaluationReason } from './evaluation.ts';
import { type Flag, isEnabledVariant, isScheduled, type Pin, type Prerequisite, type Serve, type Split } from './flag.ts';
import type { Segment } from './segment.ts';
import type { CompileRegex } from './value-test.ts';

/** Flags and the segments that they refer to. */
export interface FlagDocuments {
  readonly flags: readonly Flag[];
  readonly segments: readonly Segment[];
}

/** Something in a document that will not do what it says. */
export interface DocumentProblem {
  /** `flag "key"` or `segment "key"`. */
  readonly where: string;
  readonly problem: string;
}

/** Compiled documents. Never throws. */
export interface Evaluator {
  /** What compiling found: patterns that never match, references that lead nowhere. */
  readonly problems: readonly DocumentProblem[];
  readonly keys: readonly string[];
  evaluate(key: string, context: Context, circumstances: Circumstances): Evaluation;
  isInSegment(key: string, context: Context, circumstances: Circumstances): boolean;
}

/** What core cannot bring itself. */
export interface EvaluatorPorts {
  readonly compileRegex: CompileRegex;
}

type Answer = (context: Context, circumstances: Circumstances) => Evaluation;
type MaybeAnswer = (context: Context, circumstances: Circumstances) => Evaluation | undefined;

/** What the parts of one flag are compiled with. */
interface FlagPorts extends ConditionPorts {
  readonly answerOf: (key: string) => Answer | undefined;
}

/** Compiles documents. The same documents always give the same answers. */
export function compileFlags(documents: FlagDocuments, { compileRegex }: EvaluatorPorts): Evaluator {
  const problems: DocumentProblem[] = [];
  const fault: Fault = { message: undefined };
  const segments = new Map<string, Matcher>();
  const answers = new Map<string, Answer>();
  const portsAt = (where: string): FlagPorts => ({
    compileRegex,
    fault,
    report: (problem) => void problems.push({ where, problem }),
    segment: (key) => segments.get(key),
    answerOf: (key) => answers.get(key),
  });
  for (const segment of documents.segments) {
    segments.set(segment.key, compileSegment(segment, portsAt(`segment "${segment.key}"`)));
  }
  for (const flag of documents.flags) answers.set(flag.key, compileFlag(flag, portsAt(`flag "${flag.key}"`)));
  return {
    problems,
    keys: [...answers.keys()],
    evaluate(key, context, circumstances) {
      const answer = answers.get(key);
      if (answer === undefined) return errorEvaluation(key, 'FLAG_NOT_FOUND', `there is no flag "${key}"`);
      fault.message = undefined;
      try {
        return answer(context, circumstances);
      } catch (error) {
        return errorEvaluation(key, 'GENERAL', error instanceof Error ? error.message : String(error));
      }
    },
    isInSegment(key, context, circumstances) {
      fault.message = undefined;
      try {
        return segments.get(key)?.(context, circumstances) === true && fault.message === undefined;
      } catch {
        return false;
      }
    },
  };
}

function compileFlag(flag: Flag, ports: FlagPorts): Answer {
  const off = offAnswers(flag, ports);
  if (!flag.on) return () => off.off;
  const failedPrerequisite = compilePrerequisites(flag, ports);
  const pinned = compilePins(flag, ports);
  const ruled = compileRules(flag, ports);
  const fallthrough = compileServe(flag, { serve: flag.fallthrough, detail: { kind: 'fallthrough' } }, ports);
  const { schedule } = flag;
  return (context, at) => {
    if (schedule !== undefined && !isScheduled(schedule, at.atMs)) return off.unscheduled;
    return failedPrerequisite?.(context, at) ?? pinned?.(context, at) ?? ruled?.(context, at) ?? fallthrough(context, at);
  };
}

function offAnswers(flag: Flag, ports: FlagPorts): { readonly off: Evaluation; readonly unscheduled: Evaluation } {
  return { off: offAnswer(flag, { kind: 'off' }, ports), unscheduled: offAnswer(flag, { kind: 'unscheduled' }, ports) };
}

function offAnswer(flag: Flag, detail: EvaluationDetail, ports: FlagPorts): Evaluation {
  if (flag.offVariant !== undefined) {
    return variantAnswer(flag, { variant: flag.offVariant, reason: 'DISABLED', detail, isOff: true }, ports);
  }
  return {
    flag: flag.key,
    value: undefined,
    variant: undefined,
    reason: 'DISABLED',
    detail,
    isEnabled: false,
    isInExperiment: false,
  };
}

interface VariantAnswer {
  readonly variant: string;
  readonly reason: EvaluationReason;
  readonly detail: EvaluationDetail;
  readonly isOff?: boolean;
  readonly isInExperiment?: boolean;
}

function variantAnswer(flag: Flag, answer: VariantAnswer, { report }: FlagPorts): Evaluation {
  const { variant: name, reason, detail, isOff = false, isInExperiment = false } = answer;
  const variant = flag.variants.find((candidate) => candidate.name === name);
  if (variant === undefined) {
    const problem = `it gives the variant "${name}", which it does not have`;
    report(problem);
    return errorEvaluation(flag.key, 'PARSE_ERROR', problem);
  }
  const isEnabled = (flag.type === 'boolean' || !isOff) && isEnabledVariant(variant, flag.type);
  return { flag: flag.key, value: variant.value, variant: name, reason, detail, isEnabled, isInExperiment };
}

/** The answer when a prerequisite fails; undefined when all are met. */
function compilePrerequisites(flag: Flag, ports: FlagPorts): MaybeAnswer | undefined {
  if (flag.prerequisites.length === 0) return undefined;
  const message = `the flag "${flag.key}" is its own prerequisite through others`;
  const checks = flag.prerequisites.map((prerequisite) => ({
    prerequisite,
    failed: offAnswer(flag, { kind: 'prerequisite', flag: prerequisite.flag }, ports),
  }));
  let isEntered = false;
  const check: MaybeAnswer = (context, at) => {
    for (const { prerequisite, failed } of checks) {
      const evaluation = ports.answerOf(prerequisite.flag)?.(context, at);
      if (evaluation?.detail.kind === 'error') return errorEvaluation(flag.key, 'PARSE_ERROR', evaluation.detail.message);
      if (evaluation === undefined || !isMet(prerequisite, evaluation)) return failed;
    }
    return undefined;
  };
  return (context, at) => {
    if (isEntered) return errorEvaluation(flag.key, 'PARSE_ERROR', message);
    isEntered = true;
    try {
      return check(context, at);
    } finally {
      isEntered = false;
    }
  };
}

function isMet(prerequisite: Prerequisite, { variant, detail, isEnabled }: Evaluation): boolean {
  if ('enabled' in prerequisite) return isEnabled === prerequisite.enabled;
  const isOff = detail.kind === 'off' || detail.kind === 'unscheduled';
  return !isOff && variant !== undefined && prerequisite.variants.includes(variant);
}

/** One look-up for each run of pins of the same kind. */
function compilePins(flag: Flag, ports: FlagPorts): MaybeAnswer | undefined {
  const groups: { kind: string; read: AttributeReader | undefined; answers: Map<unknown, Evaluation> }[] = [];
  for (const pin of flag.pins) {
    const { kind = DEFAULT_KIND }: Pin = pin;
    const last = groups.at(-1);
    const group = last?.kind === kind ? last : { kind, read: compileReader({ kind, attribute: 'key' }), answers: new Map() };
    if (group !== last) groups.push(group);
    const answer = variantAnswer(flag, { variant: pin.variant, reason: 'TARGETING_MATCH', detail: { kind: 'pin' } }, ports);
    for (const key of pin.keys) if (!group.answers.has(key)) group.answers.set(key, answer);
  }
  if (groups.length === 0) return undefined;
  return (context) => {
    for (const { read, answers } of groups) {
      const answer = answers.get(read?.(context));
      if (answer !== undefined) return answer;
    }
    return undefined;
  };
}

function compileRules(flag: Flag, ports: FlagPorts): MaybeAnswer | undefined {
  const rules = flag.rules.map(({ id, all, serve }, index) => ({
    matches: compileAll(all, ports),
    serve: compileServe(flag, { serve, detail: { kind: 'rule', index, id } }, ports),
  }));
  if (rules.length === 0) return undefined;
  const { fault } = ports;
  return (context, at) => {
    for (const { matches, serve } of rules) {
      const isMatch = matches(context, at);
      if (fault.message !== undefined) return errorEvaluation(flag.key, 'PARSE_ERROR', fault.message);
      if (isMatch) return serve(context, at);
    }
    return undefined;
  };
}

interface Served {
  readonly serve: Serve;
  readonly detail: EvaluationDetail;
}

function compileServe(flag: Flag, { serve, detail }: Served, ports: FlagPorts): Answer {
  if ('split' in serve) return compileSplit(flag, { split: serve.split, detail }, ports);
  const isFixed = flag.rules.length === 0 && flag.pins.length === 0;
  const reason = detail.kind === 'rule' ? 'TARGETING_MATCH' : isFixed ? 'STATIC' : 'DEFAULT';
  const answer = variantAnswer(flag, { variant: serve.variant, reason, detail }, ports);
  return () => answer;
}

function compileSplit(flag: Flag, { split, detail }: { split: Split; detail: EvaluationDetail }, ports: FlagPorts): Answer {
  const { slices, total, bucketing = flag.bucketing, experiment: isExperiment = false } = split;
  const weights = slices.map(({ weight }) => weight);
  const scale = slices.length === 0 ? undefined : compileScale(bucketing, weights, total);
  if (scale === undefined) {
    const problem = slices.length === 0 ? 'a split has no slices' : 'an attribute that a split is bucketed by is not a reference';
    ports.report(problem);
    return () => errorEvaluation(flag.key, 'PARSE_ERROR', problem);
  }
  const answerOf = (variant: string, isInExperiment: boolean): Evaluation =>
    variantAnswer(flag, { variant, reason: 'SPLIT', detail, isInExperiment }, ports);
  const tracked = slices.map(({ variant, untracked = false }) => answerOf(variant, isExperiment && !untracked));
  const outside = isExperiment ? slices.map(({ variant }) => answerOf(variant, false)) : tracked;
  const { point, borders, hasEntity } = scale;
  const last = slices.length - 1;
  return (context, at) => {
    const here = point(context, at);
    let index = 0;
    while (index < last && !(here < (borders[index] ?? 0))) index += 1;
    const answers = isExperiment && !hasEntity(context) ? outside : tracked;
    return answers[index] ?? offAnswer(flag, detail, ports);
  };
}
