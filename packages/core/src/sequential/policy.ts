/**
 * The policy `sequential`: rolls back, advances or waits on evidence that stays valid however often it is looked at.
 *
 * Each guard bets on each block of both arms against two hypotheses. Harm: "the challenger is within the limit", with the
 * evidence carried through the whole rollout. Safety: "the challenger is beyond the margin", anew in every step. A bet that
 * is fair under its hypothesis multiplies its wealth by 1 on average at most, so wealth is evidence, and by Ville's
 * inequality it ever reaches 1/α with a chance of at most α. The weighted average of all guards' harm is such a wealth too,
 * whatever their metrics have to do with each other: that is what rolls back. To advance, every guard must be proven safe by
 * itself. Formulas and sources stand in the files beside this one; `docs/concepts/verdicts.md` explains all of it.
 */
import type { Policy } from '../policy.ts';
import { absorbBlock } from './absorb.ts';
import type { SequentialConfig } from './config.ts';
import { judgeState } from './judgement.ts';
import { openState, type SequentialState } from './state.ts';
import { verdictOf } from './verdict.ts';

/** See the file's first lines. */
export const sequential: Policy<SequentialConfig, SequentialState> = {
  name: 'sequential',
  open: openState,
  absorb: absorbBlock,
  verdict: verdictOf,
  judge: judgeState,
};
