/** Plays one rollout of a plan: requests drawn from a seed, a judge, and the real state machine. Simulations and benchmarks depend on it. */
import { EMPTY_TALLY } from '../evidence.ts';
import type { ConcurrentBlock } from '../evidence-pool.ts';
import { isLastStep, type Plan, strictestStepOf } from '../plan.ts';
import type { Opening, Policy, Question, Verdict } from '../policy.ts';
import { decideByEvidence, type Rollout, type RolloutState } from '../rollout.ts';
import { openingOf, type PreparedScenario, requestsOf, type SimulatedSecond } from './prepared-scenario.ts';
import { tallyCounterOf } from './tally-counter.ts';

/** Decides on tallies, as the engine does. */
export interface TallyJudge {
  readonly reads: 'tallies';
  see(block: ConcurrentBlock): void;
  verdict(question: Question): Verdict;
  /** Logarithm of the evidence for harm that a risk α compares with 1/α; only of judges that weigh evidence so. */
  logHarm?(): number;
}

/** Decides on raw requests: methods that keep samples. Buffers are used again, so what is needed later must be copied. */
export interface RequestJudge {
  readonly reads: 'requests';
  see(second: SimulatedSecond): void;
  verdict(question: Pick<Question, 'atMs' | 'step' | 'sinceMs'>): Verdict;
}

/** Begins the judging of one rollout. */
export type OpenJudge = (opening: Opening) => TallyJudge | RequestJudge;

/** What is played. */
export interface Trial {
  readonly prepared: PreparedScenario;
  readonly plan: Plan;
  readonly openJudge: OpenJudge;
  /**
   * Risks, not below the judge's own, for which it is noted when the rollback would have come. One play under the smallest
   * risk so tells the ends under all of them: they are the same rollout until the first one ends.
   */
  readonly alphas?: readonly number[];
}

/** A moment of a rollout. */
export interface Moment {
  readonly atMs: number;
  /** The step that the rollout stood on. */
  readonly step: number;
  /** What the challenger was asked until then, … */
  readonly challengerRequests: number;
  /** … and since it began to differ. */
  readonly requestsSinceOnset: number;
}

/** How a rollout ended. */
export interface SimulatedRollout extends Moment {
  readonly end: 'promoted' | 'rolled-back' | 'held';
  /** For each of the risks asked about: when the evidence first sufficed. */
  readonly crossings: readonly (Moment | undefined)[];
}

/** The judge that a policy is. `logHarmOf` is what lets a trial ask about several risks at once. */
export function judgeOfPolicy<Config, State>(
  policy: Policy<Config, State>,
  config: Config,
  logHarmOf?: (config: Config, state: State) => number,
): OpenJudge {
  return (opening) => {
    let state = policy.open(config, opening);
    return {
      reads: 'tallies',
      see(block) {
        state = policy.absorb(config, state, block);
      },
      verdict: (question) => policy.verdict(config, state, question),
      ...(logHarmOf === undefined ? {} : { logHarm: () => logHarmOf(config, state) }),
    };
  };
}

const SECOND_MS = 1000;

/**
 * Plays a rollout until it ends or the scenario's time is over. A second is judged and acted upon as soon as it ends: the
 * time that reports take is left out.
 * Steps of shadow are left out: scenarios say how versions do by themselves, not how alike they are on one request.
 * @param seed integer; the same seed gives the same rollout, bit for bit
 */
export function simulateRollout({ prepared, plan: whole, openJudge, alphas = [] }: Trial, seed: number): SimulatedRollout {
  const plan = withoutShadow(whole);
  const opening = openingOf(prepared, plan, seed);
  const judge = openJudge(opening);
  const requests = requestsOf(prepared, seed);
  const counts = stepCountsOf(prepared);
  const questionAt = questionerOf(plan, opening, counts.seen);
  const crossings: (Moment | undefined)[] = alphas.map(() => undefined);
  let rollout = begin(plan);
  let moment: Moment = { atMs: 0, step: 0, challengerRequests: 0, requestsSinceOnset: 0 };

  while (moment.atMs < prepared.scenario.limitMs) {
    const { step, sinceMs } = placeOf(rollout);
    const second = requests({ startMs: moment.atMs, step, trafficPercent: plan.steps[step]?.trafficPercent ?? 0 });
    if (judge.reads === 'requests') judge.see(second);
    else if (second.champion.count + second.challenger.count > 0) judge.see(counts.add(second));
    moment = momentAfter(moment, second);
    if (moment.atMs % plan.checkEveryMs !== 0) continue;

    if (judge.reads === 'tallies' && judge.logHarm !== undefined)
      noteCrossings(crossings, alphas, { moment, logHarm: judge.logHarm() });
    const next = act(rollout, moment.atMs, judge.verdict(questionAt({ step, sinceMs, atMs: moment.atMs })));
    if (next.phase === 'promoted' || next.phase === 'rolled-back') return { ...moment, end: next.phase, crossings };
    if (next !== rollout.state) {
      counts.clear();
      rollout = { ...rollout, state: next };
    }
  }
  return { ...moment, end: 'held', crossings };
}

function withoutShadow(plan: Plan): Plan {
  const steps = plan.steps.filter(({ shadowPercent }) => shadowPercent === undefined);
  return steps.length === plan.steps.length ? plan : { ...plan, steps };
}

interface StepCounts {
  /** Counts a second, and gives it as a block. */
  add(second: SimulatedSecond): ConcurrentBlock;
  /** What was counted since the last {@link StepCounts.clear}. */
  readonly seen: Question['seen'];
  clear(): void;
}

function stepCountsOf({ counting }: PreparedScenario): StepCounts {
  const champion = tallyCounterOf(counting);
  const challenger = tallyCounterOf(counting);
  return {
    add: (second) => ({
      startMs: second.startMs,
      step: second.step,
      stratum: '',
      arms: { champion: champion.add(second.champion), challenger: challenger.add(second.challenger), shadow: EMPTY_TALLY },
    }),
    seen: {
      get champion() {
        return champion.sum();
      },
      get challenger() {
        return challenger.sum();
      },
    },
    clear() {
      champion.clear();
      challenger.clear();
    },
  };
}

/** The rollout on its first step: in a simulation every gateway is ready at once. */
function begin(plan: Plan): Rollout {
  const preparing: Rollout = {
    id: 'simulated',
    model: 'simulated',
    champion: 'champion',
    challenger: 'challenger',
    plan,
    salt: '',
    startedAtMs: 0,
    startedBy: 'simulation',
    state: { phase: 'preparing', sinceMs: 0 },
  };
  return { ...preparing, state: act(preparing, 0, 'no-data') };
}

function act(rollout: Rollout, atMs: number, verdict: Verdict): RolloutState {
  const judgement = { verdict, reason: verdict, guards: [] };
  return decideByEvidence(rollout, { atMs, judgement, notReady: undefined, unhealthy: undefined }).next;
}

function placeOf({ state }: Rollout): { readonly step: number; readonly sinceMs: number } {
  if (state.phase !== 'stepping') throw new Error(`a simulated rollout cannot be ${state.phase}`);
  return state;
}

function momentAfter(before: Moment, { startMs, step, challenger, isDeviating }: SimulatedSecond): Moment {
  return {
    atMs: startMs + SECOND_MS,
    step,
    challengerRequests: before.challengerRequests + challenger.count,
    requestsSinceOnset: before.requestsSinceOnset + (isDeviating ? challenger.count : 0),
  };
}

/** What is the same in every question of a rollout is worked out once. */
function questionerOf(
  { steps }: Plan,
  { championBaseline }: Opening,
  seen: Question['seen'],
): (when: Pick<Question, 'step' | 'sinceMs' | 'atMs'>) => Question {
  const strictest = strictestStepOf(steps);
  const baseline = championBaseline === undefined ? {} : { championBaseline };
  return ({ step, sinceMs, atMs }) => ({
    atMs,
    step,
    sinceMs,
    trafficPercent: steps[step]?.trafficPercent ?? 0,
    isStrictest: strictest === step,
    isLast: isLastStep(steps, step),
    ...(steps[step]?.isBake === true ? { isBake: true } : {}),
    minSamples: steps[step]?.minSamples ?? 0,
    seen,
    ...baseline,
  });
}

function noteCrossings(
  crossings: (Moment | undefined)[],
  alphas: readonly number[],
  { moment, logHarm }: { readonly moment: Moment; readonly logHarm: number },
): void {
  alphas.forEach((alpha, index) => {
    if (logHarm >= -Math.log(alpha)) crossings[index] ??= moment;
  });
}
