/** A decision method at work: the policy that a plan names, with its state. Ledgers, replays and simulations run one each. */
import type { ConcurrentBlock } from './evidence-pool.ts';
import type { PolicyConfig } from './plan.ts';
import type { Judgement, Opening, Policy, Question, Verdict } from './policy.ts';
import { sequential } from './sequential/policy.ts';
import { thresholds } from './thresholds.ts';

/** A policy that keeps its own state. */
export interface RunningPolicy {
  absorb(block: ConcurrentBlock): void;
  verdict(question: Question): Verdict;
  judge(question: Question): Judgement;
  /** Another one that goes on from the same state. */
  fork(): RunningPolicy;
}

/** Starts the policy of a plan before the first block of a rollout. */
export function startPolicy(config: PolicyConfig, opening: Opening): RunningPolicy {
  switch (config.kind) {
    case 'sequential':
      return run(sequential, config, sequential.open(config, opening));
    case 'thresholds':
      return run(thresholds, config, thresholds.open(config, opening));
  }
}

function run<Config, State>(policy: Policy<Config, State>, config: Config, initial: State): RunningPolicy {
  let state = initial;
  return {
    absorb(block) {
      state = policy.absorb(config, state, block);
    },
    verdict: (question) => policy.verdict(config, state, question),
    judge: (question) => policy.judge(config, state, question),
    fork: () => run(policy, config, state),
  };
}
