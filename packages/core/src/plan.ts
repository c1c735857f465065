/** A rollout plan: the staircase, and the policy that guards it. Rollouts carry a copy of theirs, so a plan never changes under them. */
import type { ApprovalRule } from './approval.ts';
import { boundaryOf } from './bucketing.ts';
import { type CheckConfig, problemsOfChecks } from './checks/config.ts';
import { formatDuration } from './duration.ts';
import { DEFAULT_SEQUENTIAL, problemsOfSequential, type SequentialConfig } from './sequential/config.ts';
import { isWeighedIn } from './sequential/paired-guard.ts';
import { problemsOfThresholds, type ThresholdsConfig } from './thresholds.ts';

/** One stair: a share of subjects and what must hold before the next. Steps of shadow come before steps of traffic. */
export interface PlanStep {
  /** Share of subjects on the challenger, in (0, 100]; 0 in a step of shadow. */
  readonly trafficPercent: number;
  /**
   * Makes it a step of shadow: of so many subjects, in (0, 100], the challenger gets a copy of each request. The champion
   * answers everybody, and both answers are compared.
   */
  readonly shadowPercent?: number;
  /** The step is held at least this long. */
  readonly holdMs: number;
  /** The challenger must have answered at least this many requests in the step, or copies of them. */
  readonly minSamples: number;
  /** People who have to agree before the step is left upwards. */
  readonly approval?: ApprovalRule;
  /** The step only waits for harm: what had to be proven was proven before it. See `bake.ts`. */
  readonly isBake?: true;
}

/** The decision method with its numbers. */
export type PolicyConfig =
  | ({ readonly kind: 'sequential' } & SequentialConfig)
  | ({ readonly kind: 'thresholds' } & ThresholdsConfig);

/**
 * What to do when the rollout has not been promoted after so long. `promote` does so unless something speaks against the
 * challenger, and says how small a regression would have been caught by then.
 */
export interface TimeBox {
  readonly afterMs: number;
  readonly onExpiry: 'hold' | 'roll-back' | 'promote';
}

/** Steps with rising shares, a policy, and how often it looks. */
export interface Plan {
  readonly name: string;
  readonly steps: readonly PlanStep[];
  readonly policy: PolicyConfig;
  /** Guards from elsewhere, asked beside the policy. */
  readonly checks?: readonly CheckConfig[];
  readonly checkEveryMs: number;
  /** What happens at the start when a guard has no data, can never fire, or has no chance within the time box. */
  readonly startCheck: 'refuse' | 'warn';
  readonly timeBox?: TimeBox;
  /** How long a gateway may keep the step's share without hearing from the control plane; see {@link DEFAULT_LEASE_MS}. */
  readonly leaseMs?: number;
  /** Share of subjects that a gateway keeps on the challenger although the lease is over, in percent; 0 unless said. */
  readonly pinnedPercent?: number;
  /** Only says what it would do: the challenger keeps the first step's share until a person decides. */
  readonly dryRun?: boolean;
}

/** Two minutes, as long as a policy waits for a silent arm: a restart of the control plane is over by then. */
export const DEFAULT_LEASE_MS = 120_000;

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const POLICY: PolicyConfig = { kind: 'sequential', ...DEFAULT_SEQUENTIAL };

/** How often a policy is asked unless the plan says so: as often as its evidence is weighed. */
export const CHECK_EVERY_MS: Readonly<Record<PolicyConfig['kind'], number>> = { sequential: 1000, thresholds: 10_000 };

const STANDARD_STEPS: readonly PlanStep[] = [
  ...[10, 25, 50, 75].map((trafficPercent) => ({ trafficPercent, holdMs: 0, minSamples: 100 })),
  finalStep(),
];

/**
 * The plans that come with the product: `standard` climbs as fast as evidence allows, `careful` takes days, `rehearsed` begins in
 * the shadow: a tenth of the requests finds out whether the challenger works at all, all of them whether it bears the load.
 */
export const BUILT_IN_PLANS: readonly Plan[] = [
  {
    name: 'standard',
    steps: STANDARD_STEPS,
    policy: POLICY,
    checkEveryMs: CHECK_EVERY_MS.sequential,
    startCheck: 'warn',
    leaseMs: DEFAULT_LEASE_MS,
  },
  {
    name: 'careful',
    steps: [
      { trafficPercent: 5, holdMs: 24 * HOUR_MS, minSamples: 200 },
      { trafficPercent: 25, holdMs: 48 * HOUR_MS, minSamples: 200 },
      { trafficPercent: 50, holdMs: 48 * HOUR_MS, minSamples: 200 },
      finalStep(),
    ],
    policy: POLICY,
    checkEveryMs: CHECK_EVERY_MS.sequential,
    startCheck: 'warn',
    leaseMs: DEFAULT_LEASE_MS,
  },
  {
    name: 'rehearsed',
    steps: [
      { trafficPercent: 0, shadowPercent: 10, holdMs: 0, minSamples: 100 },
      { trafficPercent: 0, shadowPercent: 100, holdMs: 10 * MINUTE_MS, minSamples: 500 },
      ...STANDARD_STEPS,
    ],
    policy: POLICY,
    checkEveryMs: CHECK_EVERY_MS.sequential,
    leaseMs: DEFAULT_LEASE_MS,
    startCheck: 'warn',
  },
];

/** The share of a step as people read it: `25 %`, or `a shadow of 10 %`. */
export function shareWords({ trafficPercent, shadowPercent }: Pick<PlanStep, 'trafficPercent' | 'shadowPercent'>): string {
  return shadowPercent === undefined ? `${trafficPercent} %` : `a shadow of ${shadowPercent} %`;
}

/**
 * What is wrong with a plan that its schema cannot say.
 * @returns sentences for people; empty when the plan can be used
 */
export function problemsOfPlan(plan: Plan): readonly string[] {
  return [
    ...problemsOfSteps(plan.steps),
    ...problemsOfShadow(plan),
    ...problemsOfLastStep(plan),
    ...problemsOfBake(plan),
    ...problemsOfTimeBox(plan),
    ...problemsOfApprovals(plan.steps),
    ...problemsOfPolicy(plan.policy),
    ...problemsOfChecks(plan.checks ?? []),
  ];
}

/** Whether passing a step promotes: none follows, or only the one that asks for nothing. */
export function isLastStep(steps: readonly PlanStep[], step: number): boolean {
  const next = steps[step + 1];
  return next === undefined || (steps[step + 2] === undefined && asksForNothing(next));
}

/** The step nearest to equal shares, where a request tells most about the difference between the arms. */
export function strictestStepOf(steps: readonly PlanStep[]): number {
  const distances = steps.map(({ trafficPercent, isBake }) => (isBake === true ? Infinity : Math.abs(trafficPercent - 50)));
  return distances.indexOf(Math.min(...distances));
}

function problemsOfPolicy(policy: PolicyConfig): readonly string[] {
  return policy.kind === 'sequential' ? problemsOfSequential(policy) : problemsOfThresholds(policy);
}

function problemsOfSteps(steps: readonly PlanStep[]): readonly string[] {
  const problems: string[] = [];
  if (steps.length === 0) problems.push('a plan needs at least one step');
  steps.forEach((step, index) => {
    const isShadow = step.shadowPercent !== undefined;
    const previous = steps[index - 1];
    if (isShadow && previous !== undefined && previous.shadowPercent === undefined) {
      problems.push(`step ${index + 1} is a shadow but comes after traffic; what users get already needs no rehearsal`);
      return;
    }
    const percent = step.shadowPercent ?? step.trafficPercent;
    const before = (isShadow ? previous?.shadowPercent : previous?.trafficPercent) ?? 0;
    if (before > 0 && percent <= before) {
      problems.push(`step ${index + 1} has ${percent} % but must be above the ${before} % of the step before`);
    } else if (boundaryOf(percent) === boundaryOf(before)) {
      problems.push(`step ${index + 1} has ${percent} %, which moves nobody: the finest share is 0.001 %`);
    }
  });
  const [first] = steps;
  const last = steps.at(-1);
  if (last !== undefined && last.shadowPercent === undefined && last.trafficPercent !== 100) {
    problems.push(`the last step has ${last.trafficPercent} % but must reach 100 %`);
  }
  if (first !== undefined && steps.length === 1 && first.trafficPercent === 100 && !asksForNothing(first)) {
    problems.push('the only step sends everybody to the challenger, so it can never be compared; begin below 100 %');
  }
  return problems;
}

/** Copies are compared in pairs, which only `sequential` can; and some of its guards need an answer that somebody got. */
function problemsOfShadow({ steps, policy }: Plan): readonly string[] {
  const index = steps.findIndex(({ shadowPercent }) => shadowPercent !== undefined);
  const isAgreementAsked = policy.kind === 'sequential' && policy.guards.some(({ metric }) => metric === 'agreement');
  if (index < 0) {
    return isAgreementAsked ? ['the guard agreement compares answers to the same requests, so it needs a step of shadow'] : [];
  }
  const problems: string[] = [];
  if (steps.at(-1)?.shadowPercent !== undefined)
    problems.push('a plan cannot end in the shadow: add steps of traffic up to 100 %');
  if (policy.kind !== 'sequential') {
    problems.push(`step ${index + 1} is a shadow, which only the policy sequential can judge; leave it out or change the policy`);
  } else if (!policy.guards.some((guard) => isWeighedIn(guard, true))) {
    problems.push('no guard can judge a shadow: add one on errors, latency, drift or agreement');
  }
  return problems;
}

/** `thresholds` goes on with the champion's last window; `sequential` compares only what was served at the same time. */
function problemsOfLastStep({ steps, policy }: Plan): readonly string[] {
  const last = steps.at(-1);
  const isStuck = policy.kind === 'sequential' && steps.length > 1 && last?.trafficPercent === 100 && !asksForNothing(last);
  if (!isStuck) return [];
  return [
    'the step of 100 % leaves no champion to compare with, so sequential could never pass it; leave out its hold and minSamples: the challenger is then promoted, and the watch takes over',
  ];
}

/** The bake asks for no proof, so steps that do come before it, and the rest of the subjects at once after it. */
function problemsOfBake({ steps }: Plan): readonly string[] {
  const places = steps.flatMap(({ isBake }, index) => (isBake === true ? [index] : []));
  const [place] = places;
  if (place === undefined) return [];
  const [before, bake, last] = [steps[place - 1], steps[place], steps[place + 1]];
  const problems: string[] = [];
  if (places.length > 1) problems.push('a plan has one bake at most');
  if (last === undefined || place !== steps.length - 2 || !asksForNothing(last)) {
    problems.push(
      'the bake takes the place of holding the step of 100 %: it comes right before it, and that step has neither hold nor minSamples',
    );
  }
  if (before === undefined)
    problems.push('the bake asks for no proof, so it cannot be the first step: begin with a smaller share');
  else if (bake !== undefined && before.trafficPercent >= bake.trafficPercent) {
    problems.push(
      `the bake holds back ${heldBackOf(bake)} %, so the step before it must be below ${bake.trafficPercent} %, and has ${before.trafficPercent} %`,
    );
  }
  return problems;
}

function problemsOfTimeBox({ steps, timeBox }: Plan): readonly string[] {
  const heldMs = steps.reduce((sum, step) => sum + step.holdMs, 0);
  if (timeBox === undefined || heldMs < timeBox.afterMs) return [];
  const [held, box] = [formatDuration(heldMs), formatDuration(timeBox.afterMs)];
  return [`the steps are held for ${held} together, so the time box of ${box} is over before the plan can be`];
}

function problemsOfApprovals(steps: readonly PlanStep[]): readonly string[] {
  const last = steps.at(-1);
  if (last?.approval === undefined || steps.length === 1 || !asksForNothing(last)) return [];
  return [
    `step ${steps.length} asks for an approval but for no hold and no samples, so it is never stood on: ask for the approval in step ${steps.length - 1}, which is left by the promotion`,
  ];
}

/** Share of subjects whom a bake leaves on the old champion, in percent. */
export function heldBackOf({ trafficPercent }: Pick<PlanStep, 'trafficPercent'>): number {
  return Number((100 - trafficPercent).toFixed(3));
}

/** Whether a step asks for nothing: entering it as the last one is promotion at once. */
export function asksForNothing(step: PlanStep): boolean {
  return step.holdMs === 0 && step.minSamples === 0;
}

function finalStep(): PlanStep {
  return { trafficPercent: 100, holdMs: 0, minSamples: 0 };
}
