/** Approvals of rollout steps: who has to agree before a rollout climbs, who has, and who is missing. Rollouts depend on it. */
import { AppError } from './errors.ts';
import type { PlanStep } from './plan.ts';
import type { Act, Rollout } from './rollout.ts';

/** How many people have to agree before a step may be left upwards. */
export interface ApprovalRule {
  /** So many different people, 1 or more. */
  readonly by: number;
  /** Who started the rollout does not count. */
  readonly fourEyes: boolean;
}

/** A person's yes to leaving one step, and to nothing else. */
export interface Approval {
  readonly step: number;
  readonly by: string;
  readonly atMs: number;
  readonly reason: string;
}

/** What a rollout still needs from people. */
export interface ApprovalNeed {
  readonly rule: ApprovalRule;
  /** Those that count, oldest first. */
  readonly given: readonly Approval[];
  /** How many people are missing; 0 when nobody is. */
  readonly missing: number;
  /** One sentence for people. */
  readonly sentence: string;
}

/** `next`: to enter the following step. `promotion`: to pass every step that is left at once. */
export type Climb = 'next' | 'promotion';

/** More names than a plan may ask for say nothing new; it bounds what a rollout keeps. */
export const MOST_APPROVALS = 10;

/**
 * Who has to agree to the climb, and who has.
 * @returns undefined when nobody is asked
 */
export function approvalNeedOf(rollout: Rollout, climb: Climb): ApprovalNeed | undefined {
  const { state, plan } = rollout;
  if (!('step' in state)) return undefined;
  const asked = climb === 'next' ? plan.steps.slice(state.step, state.step + 1) : plan.steps.slice(state.step);
  const rule = strictest(asked);
  if (rule === undefined) return undefined;
  const given = (rollout.approvals ?? []).filter(
    ({ step, by }) => step === state.step && !(rule.fourEyes && by === rollout.startedBy),
  );
  const missing = Math.max(0, rule.by - given.length);
  return { rule, given, missing, sentence: sentenceOf(rollout, { rule, given, missing }) };
}

/**
 * The rollout with one more approval of the step that it stands on; the same one when the person had approved already.
 * Approvals of other steps lapse.
 * @throws AppError `rollout.invalid_transition` when nobody is asked; `rollout.approval_refused` when the person does not count
 */
export function approve(rollout: Rollout, { by, atMs, reason }: Act): Rollout {
  const { state } = rollout;
  const need = approvalNeedOf(rollout, 'promotion');
  if (need === undefined || (state.phase !== 'stepping' && state.phase !== 'paused')) {
    const why = need === undefined ? 'no step that is left asks for an approval' : `it is ${state.phase}`;
    throw new AppError('rollout.invalid_transition', `cannot approve rollout "${rollout.id}": ${why}`);
  }
  const { step } = state;
  if (need.rule.fourEyes && by === rollout.startedBy) {
    throw new AppError(
      'rollout.approval_refused',
      `cannot approve rollout "${rollout.id}" as ${by}, who started it: the plan asks for somebody else (fourEyes)`,
    );
  }
  const present = (rollout.approvals ?? []).filter((approval) => approval.step === step);
  if (present.some((approval) => approval.by === by)) return rollout;
  return { ...rollout, approvals: [...present, { step, by, atMs, reason }].slice(-MOST_APPROVALS) };
}

function strictest(steps: readonly PlanStep[]): ApprovalRule | undefined {
  const rules = steps.flatMap(({ approval }) => approval ?? []);
  if (rules.length === 0) return undefined;
  return { by: Math.max(...rules.map(({ by }) => by)), fourEyes: rules.some(({ fourEyes }) => fourEyes) };
}

function sentenceOf(rollout: Rollout, { rule, given, missing }: Omit<ApprovalNeed, 'sentence'>): string {
  const names = given.map(({ by }) => by).join(', ');
  if (missing === 0) return `approved by ${names}`;
  const people = missing === 1 ? '1 approval is' : `${missing} approvals are`;
  const others = rule.fourEyes ? `, not from ${rollout.startedBy} who started it` : '';
  const so = given.length === 0 ? '' : `; so far: ${names}`;
  return `${people} missing${others}${so} (understudy rollout approve ${rollout.id})`;
}
