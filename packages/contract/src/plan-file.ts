/** A rollout plan as people write it, in YAML or JSON: durations as text, shares in percent, every policy number optional. */
import { formatDuration, parseDuration } from '@understudy/core/duration';
import { AppError } from '@understudy/core/errors';
import { DEFAULT_HEALTH_LIMITS } from '@understudy/core/health';
import { type Plan, problemsOfPlan } from '@understudy/core/plan';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import { z } from 'zod';
import { exactPartial, HealthLimitsFields, Name, ThresholdsFields } from './documents.ts';
import { describeProblems } from './problems.ts';

/** A length of time such as `90s`, `24h` or `1h30m`. */
const DurationText = z
  .string()
  .refine((text) => parseDuration(text) !== undefined, 'write a length of time such as "90s", "10m", "24h" or "1h30m"')
  .meta({ pattern: '^(?:\\d+(?:\\.\\d+)?(?:ms|s|m|h|d))+$', description: 'A length of time such as 90s, 24h or 1h30m.' });

const PlanFileStep = z.strictObject({
  traffic: z.number().gt(0).max(100).meta({ description: 'Share of subjects on the challenger, in percent.' }),
  hold: DurationText.exactOptional().meta({ description: 'The step is held at least this long; 0s when left out.' }),
  minSamples: z
    .int()
    .nonnegative()
    .exactOptional()
    .meta({ description: 'Requests the challenger must have answered in the step; 50, or 0 for the step of 100 %.' }),
});

const PlanFilePolicy = z.strictObject({
  kind: z.literal('thresholds'),
  ...exactPartial(ThresholdsFields).shape,
  health: exactPartial(HealthLimitsFields).exactOptional(),
});

/** The file format. Unknown fields are refused. */
export const PlanFile = z
  .strictObject({
    name: Name.meta({ description: 'What people call the plan.' }),
    steps: z.array(PlanFileStep).min(1).max(50),
    policy: PlanFilePolicy.exactOptional(),
    checkEvery: DurationText.exactOptional().meta({ description: 'How often the policy is asked; 10s when left out.' }),
    timeBox: z.strictObject({ after: DurationText, onExpiry: z.enum(['hold', 'roll-back']) }).exactOptional(),
  })
  .meta({ title: 'Understudy rollout plan' });
export type PlanFile = z.infer<typeof PlanFile>;

const DEFAULT_MIN_SAMPLES = 50;

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
    steps: plan.steps.map((step) => ({
      traffic: step.trafficPercent,
      hold: exactDuration(step.holdMs),
      minSamples: step.minSamples,
    })),
    policy: plan.policy,
    checkEvery: exactDuration(plan.checkEveryMs),
    ...(plan.timeBox === undefined
      ? {}
      : { timeBox: { after: exactDuration(plan.timeBox.afterMs), onExpiry: plan.timeBox.onExpiry } }),
  };
}

/** The JSON Schema of the file format, for editors. */
export function planJsonSchema(): object {
  return z.toJSONSchema(PlanFile, { io: 'input' });
}

function planOf(file: PlanFile): Plan {
  const { health, kind, ...numbers } = file.policy ?? { kind: 'thresholds' };
  const timeBox =
    file.timeBox === undefined ? {} : { timeBox: { afterMs: milliseconds(file.timeBox.after), onExpiry: file.timeBox.onExpiry } };
  return {
    name: file.name,
    steps: file.steps.map((step) => ({
      trafficPercent: step.traffic,
      holdMs: milliseconds(step.hold ?? '0s'),
      minSamples: step.minSamples ?? (step.traffic === 100 ? 0 : DEFAULT_MIN_SAMPLES),
    })),
    policy: { kind, ...DEFAULT_THRESHOLDS, ...numbers, health: { ...DEFAULT_HEALTH_LIMITS, ...health } },
    checkEveryMs: milliseconds(file.checkEvery ?? '10s'),
    ...timeBox,
  };
}

function milliseconds(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new Error(`"${text}" passed the schema but is not a length of time`);
  return ms;
}

function exactDuration(ms: number): string {
  const text = formatDuration(ms).replace(' ', '');
  return parseDuration(text) === ms ? text : `${ms}ms`;
}
