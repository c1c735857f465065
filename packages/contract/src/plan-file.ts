/** A rollout plan as people write it, in YAML or JSON: durations as text, shares in percent, every policy number optional. */
import { type ApprovalRule, MOST_APPROVALS } from '@understudy/core/approval';
import { type BakeWish, DEFAULT_HOLD_BACK_PERCENT, withBake } from '@understudy/core/bake';
import { MAX_CHECKS } from '@understudy/core/checks/config';
import { AppError } from '@understudy/core/errors';
import { DEFAULT_HEALTH_LIMITS } from '@understudy/core/health';
import {
  CHECK_EVERY_MS,
  DEFAULT_LEASE_MS,
  heldBackOf,
  type Plan,
  type PlanStep,
  type PolicyConfig,
  problemsOfPlan,
} from '@understudy/core/plan';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL, type GuardConfig } from '@understudy/core/sequential/config';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import { z } from 'zod';
import { exactPartial, HealthLimitsFields, Name } from './documents.ts';
import {
  GuardFields,
  LEAST_LEASE_MS,
  OnExpirySchema,
  SequentialFields,
  SickFields,
  StartCheckSchema,
  ThresholdsFields,
} from './rollout-documents.ts';
import { DurationText, durationOfAtLeast, exactDuration, milliseconds } from './duration-text.ts';
import { PlanFileCheck, readCheck, writeCheck } from './plan-file-check.ts';
import { describeProblems } from './problems.ts';

const stepFields = {
  hold: DurationText.exactOptional().meta({ description: 'The step is held at least this long; 0s when left out.' }),
  minSamples: z.int().nonnegative().exactOptional().meta({
    description:
      'Requests the challenger must have answered in the step, or copies of them; 100 (50 with thresholds), or 0 for the step of 100 %.',
  }),
  approval: z
    .union([
      z.literal('required'),
      z.strictObject({ by: z.int().min(1).max(MOST_APPROVALS).default(1), fourEyes: z.boolean().default(false) }),
    ])
    .exactOptional()
    .meta({
      description:
        'People who agree before the next step, or the promotion: "required" for one, { by: 2 } for two different ones, { fourEyes: true } for somebody who did not start the rollout.',
    }),
};

const PlanFileStep = z
  .strictObject({
    traffic: z.number().gt(0).max(100).exactOptional().meta({ description: 'Share of subjects on the challenger, in percent.' }),
    shadow: z.number().gt(0).max(100).exactOptional().meta({
      description: 'Share of subjects, in percent, whose requests the challenger gets a copy of; the champion answers.',
    }),
    ...stepFields,
  })
  .refine(({ traffic, shadow }) => (traffic === undefined) !== (shadow === undefined), 'give a step either traffic or shadow')
  .meta({ oneOf: [{ required: ['traffic'] }, { required: ['shadow'] }] });
type PlanFileStep = z.infer<typeof PlanFileStep>;

const PlanFileBake = z
  .strictObject({
    hold: durationOfAtLeast(1000).meta({ description: 'How long the old champion keeps its part of the subjects.' }),
    holdBack: z
      .number()
      .gt(0)
      .max(50)
      .exactOptional()
      .meta({ description: 'Share of subjects who stay on the old champion, in percent; 5 when left out.' }),
    minSamples: z.int().nonnegative().exactOptional().meta({
      description: 'Requests the challenger must have answered while baking; 100 (50 with thresholds) when left out.',
    }),
  })
  .meta({
    description:
      'Before the step of 100 %: the challenger serves all but a few subjects, every guard goes on comparing, and nothing has to be proven anew.',
  });

const weight = z
  .number()
  .min(0)
  .max(1000)
  .meta({ description: 'How much of the risk of a false rollback the guard may use, relative to the others.' });

const PlanFileMargin = z
  .strictObject({ ratio: z.number().min(1).max(1000), plus: z.number().min(0).max(1) })
  .meta({ description: "A line: the challenger's rate may be ratio × the champion's + plus." });

/** A guard as people write it: what is left out keeps its default. */
const PlanFileGuard = z.discriminatedUnion('metric', [
  z.strictObject({
    metric: z.literal('errors'),
    ...exactPartial({ ...GuardFields.errors, weight, rollback: PlanFileMargin, promote: PlanFileMargin }).shape,
  }),
  z.strictObject({
    metric: z.literal('latency'),
    quantile: GuardFields.latency.quantile,
    ratio: GuardFields.latency.ratio,
    ...exactPartial({ weight, ignoreBelowMs: GuardFields.latency.ignoreBelowMs }).shape,
  }),
  z.strictObject({ metric: z.literal('drift'), ...exactPartial({ ...GuardFields.drift, weight }).shape }),
  z.strictObject({
    metric: z.literal('score'),
    name: GuardFields.score.name,
    ...exactPartial({
      better: GuardFields.score.better,
      weight,
      tolerance: GuardFields.score.tolerance,
      promote: GuardFields.score.promote,
    }).shape,
  }),
  z.strictObject({
    metric: z.literal('feedback'),
    name: GuardFields.feedback.name,
    ...exactPartial({
      better: GuardFields.feedback.better,
      weight,
      tolerance: GuardFields.feedback.tolerance,
      promote: GuardFields.feedback.promote,
      needed: GuardFields.feedback.needed.meta({
        description:
          'Proof is needed for each-step, for the promotion (default), or only afterwards: a late rollback is then all there is.',
      }),
    }).shape,
  }),
  z.strictObject({
    metric: z.literal('limit'),
    of: GuardFields.limit.of,
    share: GuardFields.limit.share,
    ...exactPartial({ weight, aboveMs: GuardFields.limit.aboveMs }).shape,
  }),
  z.strictObject({
    metric: z.literal('agreement'),
    atLeast: GuardFields.agreement.atLeast,
    ...exactPartial({ weight }).shape,
  }),
]);

const PlanFilePolicy = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sequential'),
    ...exactPartial(SequentialFields).shape,
    guards: z.array(PlanFileGuard).min(1).max(32).exactOptional(),
    errorsEvery: durationOfAtLeast(1000)
      .exactOptional()
      .meta({ description: 'How often evidence of errors is weighed; 1s when left out.' }),
    othersEvery: durationOfAtLeast(1000)
      .exactOptional()
      .meta({ description: 'How often all other evidence is weighed; 10s when left out.' }),
    silence: durationOfAtLeast(1000).exactOptional().meta({
      description: 'The rollout holds when an arm was not heard of for so long; 2m when left out.',
    }),
    sick: exactPartial(SickFields).exactOptional(),
  }),
  z.strictObject({
    kind: z.literal('thresholds'),
    ...exactPartial(ThresholdsFields).shape,
    health: exactPartial(HealthLimitsFields).exactOptional(),
  }),
]);
type PlanFilePolicy = z.infer<typeof PlanFilePolicy>;

/** The file format. Unknown fields are refused. */
export const PlanFile = z
  .strictObject({
    name: Name.meta({ description: 'What people call the plan.' }),
    steps: z.array(PlanFileStep).min(1).max(50),
    bake: PlanFileBake.exactOptional(),
    policy: PlanFilePolicy.exactOptional(),
    checks: z.array(PlanFileCheck).min(1).max(MAX_CHECKS).exactOptional().meta({
      description: 'Guards from elsewhere: Prometheus queries and webhooks, asked beside the policy.',
    }),
    checkEvery: durationOfAtLeast(100).exactOptional().meta({
      description: 'How often the policy is asked; 1s for sequential and 10s for thresholds when left out.',
    }),
    startCheck: StartCheckSchema.exactOptional().meta({
      description:
        'A guard without data, or that can never fire, or without a chance within the time box: warn (default) or refuse.',
    }),
    timeBox: z.strictObject({ after: DurationText, onExpiry: OnExpirySchema }).exactOptional(),
    lease: durationOfAtLeast(LEAST_LEASE_MS).exactOptional().meta({
      description:
        'A gateway that has not heard from the control plane for so long goes back to the share judged safe last; 2m when left out.',
    }),
    pinned: z.number().min(0).max(100).exactOptional().meta({
      description: 'Share of subjects, in percent, that stays on the challenger although the lease is over; 0 when left out.',
    }),
    dryRun: z.boolean().exactOptional().meta({
      description:
        'Judge and say what would be done, on the share of the first step, without doing it; also without rolling back.',
    }),
  })
  .meta({ title: 'Understudy rollout plan' });
export type PlanFile = z.infer<typeof PlanFile>;

const DEFAULT_MIN_SAMPLES = { sequential: 100, thresholds: 50 } as const;

/**
 * Reads a plan that somebody wrote.
 * @throws AppError `plan.invalid` naming every problem and where it is
 */
export function readPlan(input: unknown): Plan {
  const parsed = PlanFile.safeParse(input);
  if (!parsed.success) throw new AppError('plan.invalid', `the plan cannot be used: ${describeProblems(parsed.error)}`);
  const plan = planOf(parsed.data);
  const problems = problemsOfPlan(plan);
  if (problems.length > 0) throw new AppError('plan.invalid', `the plan "${plan.name}" cannot be used: ${problems.join('; ')}`);
  return plan;
}

/** A plan as somebody would write it, with every number spelled out. */
export function writePlan(plan: Plan): PlanFile {
  return {
    name: plan.name,
    steps: plan.steps.filter(({ isBake }) => isBake !== true).map(writeStep),
    ...writeBake(plan.steps),
    policy: writePolicy(plan.policy),
    ...(plan.checks === undefined ? {} : { checks: plan.checks.map(writeCheck) }),
    checkEvery: exactDuration(plan.checkEveryMs),
    startCheck: plan.startCheck,
    ...(plan.timeBox === undefined
      ? {}
      : { timeBox: { after: exactDuration(plan.timeBox.afterMs), onExpiry: plan.timeBox.onExpiry } }),
    lease: exactDuration(plan.leaseMs ?? DEFAULT_LEASE_MS),
    ...(plan.pinnedPercent === undefined ? {} : { pinned: plan.pinnedPercent }),
    ...(plan.dryRun === undefined ? {} : { dryRun: plan.dryRun }),
  };
}

/** The JSON Schema of the file format, for editors. */
export function planJsonSchema(): object {
  return z.toJSONSchema(PlanFile, { io: 'input' });
}

function planOf(file: PlanFile): Plan {
  const policy = policyOf(file.policy ?? { kind: 'sequential' });
  const timeBox =
    file.timeBox === undefined ? {} : { timeBox: { afterMs: milliseconds(file.timeBox.after), onExpiry: file.timeBox.onExpiry } };
  const steps = file.steps.map((step) => stepOf(step, policy.kind));
  return {
    name: file.name,
    steps: file.bake === undefined ? steps : withBake(steps, bakeWishOf(file.bake, DEFAULT_MIN_SAMPLES[policy.kind])),
    policy,
    ...(file.checks === undefined ? {} : { checks: file.checks.map(readCheck) }),
    checkEveryMs: file.checkEvery === undefined ? CHECK_EVERY_MS[policy.kind] : milliseconds(file.checkEvery),
    startCheck: file.startCheck ?? 'warn',
    ...timeBox,
    leaseMs: file.lease === undefined ? DEFAULT_LEASE_MS : milliseconds(file.lease),
    ...(file.pinned === undefined ? {} : { pinnedPercent: file.pinned }),
    ...(file.dryRun === undefined ? {} : { dryRun: file.dryRun }),
  };
}

function stepOf({ traffic = 0, shadow, ...file }: PlanFileStep, policy: PolicyConfig['kind']): PlanStep {
  const minSamples = file.minSamples ?? (traffic === 100 ? 0 : DEFAULT_MIN_SAMPLES[policy]);
  const approval = file.approval === undefined ? {} : { approval: approvalOf(file.approval) };
  const rest = { holdMs: milliseconds(file.hold ?? '0s'), minSamples, ...approval };
  return shadow === undefined ? { trafficPercent: traffic, ...rest } : { trafficPercent: 0, shadowPercent: shadow, ...rest };
}

function writeStep({ trafficPercent, shadowPercent, holdMs, minSamples, approval }: PlanStep): PlanFileStep {
  const rest = { hold: exactDuration(holdMs), minSamples, ...(approval === undefined ? {} : { approval: { ...approval } }) };
  return shadowPercent === undefined ? { traffic: trafficPercent, ...rest } : { shadow: shadowPercent, ...rest };
}

function approvalOf(approval: NonNullable<PlanFile['steps'][number]['approval']>): ApprovalRule {
  return approval === 'required' ? { by: 1, fourEyes: false } : approval;
}

function bakeWishOf({ hold, holdBack, minSamples }: NonNullable<PlanFile['bake']>, usual: number): BakeWish {
  return { holdMs: milliseconds(hold), holdBackPercent: holdBack ?? DEFAULT_HOLD_BACK_PERCENT, minSamples: minSamples ?? usual };
}

function policyOf(file: PlanFilePolicy): PolicyConfig {
  if (file.kind === 'thresholds') {
    return { ...DEFAULT_THRESHOLDS, ...file, health: { ...DEFAULT_HEALTH_LIMITS, ...file.health } };
  }
  const { guards, errorsEvery, othersEvery, silence, sick, ...numbers } = file;
  return {
    ...DEFAULT_SEQUENTIAL,
    ...numbers,
    ...(guards === undefined ? {} : { guards: guards.map(guardOf) }),
    ...(errorsEvery === undefined ? {} : { errorsEveryMs: milliseconds(errorsEvery) }),
    ...(othersEvery === undefined ? {} : { othersEveryMs: milliseconds(othersEvery) }),
    ...(silence === undefined ? {} : { silenceMs: milliseconds(silence) }),
    sick: { ...DEFAULT_SEQUENTIAL.sick, ...sick },
  };
}

function guardOf(guard: z.infer<typeof PlanFileGuard>): GuardConfig {
  switch (guard.metric) {
    case 'errors':
      return { ...DEFAULT_GUARDS.errors, ...guard };
    case 'latency':
      return { ...DEFAULT_GUARDS.latency, ...guard };
    case 'drift':
      return { ...DEFAULT_GUARDS.drift, ...guard };
    case 'score':
      return { ...DEFAULT_GUARDS.score, ...guard };
    case 'feedback':
      return { ...DEFAULT_GUARDS.feedback, ...guard };
    case 'limit':
      return { ...DEFAULT_GUARDS.limit, ...guard };
    case 'agreement':
      return { ...DEFAULT_GUARDS.agreement, ...guard };
  }
}

function writeBake(steps: readonly PlanStep[]): Pick<PlanFile, 'bake'> {
  const step = steps.find(({ isBake }) => isBake === true);
  if (step === undefined) return {};
  return { bake: { hold: exactDuration(step.holdMs), holdBack: heldBackOf(step), minSamples: step.minSamples } };
}

function writePolicy(policy: PolicyConfig): PlanFilePolicy {
  if (policy.kind === 'thresholds') return policy;
  const { errorsEveryMs, othersEveryMs, silenceMs, guards, ...numbers } = policy;
  return {
    ...numbers,
    guards: [...guards],
    errorsEvery: exactDuration(errorsEveryMs),
    othersEvery: exactDuration(othersEveryMs),
    silence: exactDuration(silenceMs),
  };
}
