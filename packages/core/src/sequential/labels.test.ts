import { describe, expect, it } from 'vitest';
import { EMPTY_TALLY, mergeTallies, type Moments, type Tally } from '../evidence.ts';
import type { ConcurrentBlock } from '../evidence-pool.ts';
import { randomOf } from '../simulation/random.ts';
import { DEFAULT_GUARDS, DEFAULT_SEQUENTIAL, type FeedbackGuard, type FeedbackNeeded, type SequentialConfig } from './config.ts';
import { logHarmOfGuard } from './guard.ts';
import { sequential } from './policy.ts';
import { openingOf, questionOf, trafficOf } from './test-traffic.ts';

const guard = (needed: FeedbackNeeded): FeedbackGuard => ({
  metric: 'feedback',
  name: 'accuracy',
  ...DEFAULT_GUARDS.feedback,
  needed,
});
const policyOf = (needed: FeedbackNeeded = 'promotion'): SequentialConfig => ({
  ...DEFAULT_SEQUENTIAL,
  guards: [{ metric: 'errors', ...DEFAULT_GUARDS.errors }, guard(needed)],
});

interface Labelled {
  readonly cohorts: number;
  readonly step?: number;
  readonly fromMs?: number;
  /** Labels of both arms in each cohort. */
  readonly labels?: number;
  /** The challenger's part of them. */
  readonly share?: number;
  readonly accuracy: readonly [champion: number, challenger: number];
}

/** One cohort a minute: only labels, as the engine stores them. */
function labelsOf(
  seed: number,
  { cohorts, step = 0, fromMs = 0, labels = 200, share = 0.1, accuracy }: Labelled,
): readonly ConcurrentBlock[] {
  const random = randomOf(seed, `labels ${step} ${fromMs}`);
  const tally = (count: number, rate: number): Tally => {
    let right = 0;
    for (let label = 0; label < count; label += 1) if (random.uniform() < rate) right += 1;
    const moments: Moments = { count, sum: right, sumSquares: right };
    return count === 0 ? EMPTY_TALLY : { ...EMPTY_TALLY, labels: { accuracy: moments } };
  };
  return Array.from({ length: cohorts }, (_, cohort) => {
    let toChallenger = 0;
    for (let label = 0; label < labels; label += 1) if (random.uniform() < share) toChallenger += 1;
    const arms = {
      champion: tally(labels - toChallenger, accuracy[0]),
      challenger: tally(toChallenger, accuracy[1]),
      shadow: EMPTY_TALLY,
    };
    return { startMs: fromMs + cohort * 60_000, step, stratum: '', arms };
  });
}

function stateAfter(blocks: readonly ConcurrentBlock[], config = policyOf()) {
  return blocks.reduce((state, block) => sequential.absorb(config, state, block), sequential.open(config, openingOf()));
}

/** Asked on a step of 25 %, with enough requests on both arms and nothing wrong but what labels say. */
function verdictAfter(
  blocks: readonly ConcurrentBlock[],
  needed: FeedbackNeeded = 'promotion',
  asked: { readonly isLast?: boolean; readonly isBake?: boolean; readonly seconds?: number } = {},
) {
  const config = policyOf(needed);
  const atMs = (blocks.at(-1)?.startMs ?? 0) + 1000;
  const traffic = trafficOf(1, { seconds: asked.seconds ?? 60, step: 1, trafficPercent: 25, rate: 200, fromMs: atMs });
  const state = stateAfter([...blocks, ...traffic], config);
  const told = (arm: 'champion' | 'challenger', requests: number): Tally => ({
    ...blocks.reduce((sum, { arms }) => mergeTallies(sum, arms[arm]), EMPTY_TALLY),
    requests,
  });
  const seen = { champion: told('champion', 9000), challenger: told('challenger', 3000) };
  const question = questionOf({
    atMs: atMs + 60_000,
    step: 1,
    sinceMs: atMs,
    trafficPercent: 25,
    isLast: asked.isLast ?? false,
    isBake: asked.isBake ?? false,
    seen,
  });
  return { verdict: sequential.verdict(config, state, question), judgement: sequential.judge(config, state, question) };
}

const ALIKE = { accuracy: [0.9, 0.9] } as const;

describe('labels', () => {
  it('count for the step that their requests were in, also when the rollout stands on another one', () => {
    const worse = { cohorts: 60, accuracy: [0.98, 0.9] } as const;
    const later = trafficOf(1, { seconds: 5, step: 1, trafficPercent: 25 });
    const state = stateAfter([...later, ...labelsOf(1, { ...worse, fromMs: 3_600_000 })]);
    const harm = state.guards[1];
    expect(harm === undefined ? 0 : logHarmOfGuard(harm)).toBeGreaterThan(Math.log(1000));
    expect(state.step).toBe(1);
  });

  it('leave late evidence of every other kind out', () => {
    const later = trafficOf(1, { seconds: 5, step: 1, trafficPercent: 25 });
    const failing = trafficOf(2, { seconds: 60, step: 0, fromMs: 3_600_000, challenger: { errorRate: 1 } });
    const labels = labelsOf(1, { cohorts: 60, fromMs: 3_600_000, ...ALIKE });
    const both = failing.map((block, index) => ({
      ...block,
      arms: {
        champion: { ...block.arms.champion, labels: labels[index]?.arms.champion.labels ?? {} },
        challenger: { ...block.arms.challenger, labels: labels[index]?.arms.challenger.labels ?? {} },
        shadow: EMPTY_TALLY,
      },
    }));
    expect(stateAfter([...later, ...both]).peak).toBe(0);
  });

  it('roll back a challenger that is right less often, whatever else is perfect', () => {
    const { verdict, judgement } = verdictAfter(labelsOf(3, { cohorts: 240, accuracy: [0.98, 0.95] }));
    expect(verdict).toBe('harmful');
    expect(judgement.reason).toMatch(/^accuracy: challenger 0.9\d*, champion 0.9\d*, harm begins below 0.9/);
  });

  it.each(Array.from({ length: 20 }, (_, seed) => seed))('never roll back one that is right as often (seed %i)', (seed) => {
    expect(verdictAfter(labelsOf(seed, { cohorts: 240, ...ALIKE })).verdict).not.toBe('harmful');
  });

  it.each<readonly [FeedbackNeeded, boolean, 'healthy' | 'undecided']>([
    ['each-step', false, 'undecided'],
    ['each-step', true, 'undecided'],
    ['promotion', false, 'healthy'],
    ['promotion', true, 'undecided'],
    ['afterwards', false, 'healthy'],
    ['afterwards', true, 'healthy'],
  ])('needed for %s, on the last step %s: without labels the verdict is %s', (needed, isLast, expected) => {
    expect(verdictAfter([], needed, { isLast }).verdict).toBe(expected);
  });

  it.each<readonly [FeedbackNeeded, boolean, 'healthy' | 'undecided']>([
    ['promotion', true, 'undecided'],
    ['each-step', true, 'undecided'],
    ['afterwards', true, 'healthy'],
    ['afterwards', false, 'undecided'],
  ])('needed for %s: too little traffic for any proof, in a bake %s, is %s', (needed, isBake, expected) => {
    const { verdict, judgement } = verdictAfter([], needed, { isLast: true, isBake, seconds: 2 });
    expect(verdict).toBe(expected);
    const asked = /of the proof there is: (.*)$/.exec(judgement.reason)?.[1]?.split(', ').length ?? 0;
    expect(asked).toBe(isBake ? Number(expected === 'undecided') : 1);
  });

  it('roll back in a bake too', () => {
    const worse = labelsOf(3, { cohorts: 240, accuracy: [0.98, 0.95] });
    expect(verdictAfter(worse, 'afterwards', { isLast: true, isBake: true }).verdict).toBe('harmful');
  });

  it('prove safety over the steps together, and then let the last step pass', () => {
    const some = labelsOf(1, { cohorts: 60, ...ALIKE });
    expect(verdictAfter(some, 'promotion', { isLast: true }).verdict).toBe('undecided');
    const more = labelsOf(1, { cohorts: 300, fromMs: 3_600_000, step: 1, share: 0.25, ...ALIKE });
    expect(verdictAfter([...some, ...more], 'promotion', { isLast: true }).verdict).toBe('healthy');
  });

  it('that come more often for one arm make the sample invalid, and say so', () => {
    const { verdict, judgement } = verdictAfter(labelsOf(1, { cohorts: 120, share: 0.2, ...ALIKE }));
    expect(verdict).toBe('invalid');
    expect(judgement.reason).toContain('labels do not come for both arms alike');
    expect(judgement.reason).toContain('feedback.accuracy');
  });

  it('that come for half of the requests of both arms are fine', () => {
    expect(verdictAfter(labelsOf(1, { cohorts: 240, labels: 100, ...ALIKE })).verdict).not.toBe('invalid');
  });

  it('are kept until both arms have some, however long that takes', () => {
    const rare = labelsOf(5, { cohorts: 2000, labels: 3, accuracy: [0.99, 0.6] });
    expect(verdictAfter(rare).verdict).toBe('harmful');
  });
});
