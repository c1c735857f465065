/** Follows one rollout to its end, look by look: what each step came to, and every decision as it is stored. Stories depend on it. */
import type { Client } from '@understudy/contract/client';
import type { DecisionView, RolloutView } from '@understudy/contract/views';
import { isLive, stepOf } from '@understudy/core/rollout';
import { type Look, waitFor } from './waiting.ts';

/** How a rollout went. */
export interface Followed {
  readonly last: RolloutView;
  /** Everything but `hold`, oldest first. */
  readonly decisions: readonly DecisionView[];
}

export interface Follow {
  readonly client: Client;
  readonly rollout: string;
  readonly withinMs: number;
  readonly signal: AbortSignal;
  /** Several times a second while the rollout is live. */
  onLook(view: RolloutView): void;
  /** Once for each decision but `hold`, in order; with the last look at the step that it ended. */
  onDecision(decision: DecisionView, step: RolloutView | undefined): void;
}

// Evidence comes in once a second and a decision may follow at once: only then is a step shown less complete than it was.
const LOOK_EVERY_MS = 100;
const ENOUGH_DECISIONS = 100;

/** @throws DemoFailure when the rollout has not ended in time */
export async function followRollout(follow: Follow): Promise<Followed> {
  const { client, rollout, signal } = follow;
  const decisions: DecisionView[] = [];
  let before: RolloutView | undefined;

  async function look(): Promise<Look<RolloutView>> {
    const view = await client('getRollout', { params: { rollout }, signal });
    if (before === undefined || hasMoved(before, view)) {
      for (const decision of await newDecisions(follow, decisions)) {
        decisions.push(decision);
        follow.onDecision(decision, before);
      }
    }
    before = view;
    if (!isLive(view.rollout.state)) return { found: view };
    follow.onLook(view);
    return { insteadOf: `${wordsOf(view)}: ${view.now?.reason ?? 'no decision yet'}` };
  }

  const wait = { what: `rollout "${rollout}" to end`, withinMs: follow.withinMs, everyMs: LOOK_EVERY_MS, signal };
  return { last: await waitFor(wait, look), decisions };
}

function hasMoved(before: RolloutView, view: RolloutView): boolean {
  const [last, next] = [before.rollout.state, view.rollout.state];
  return last.phase !== next.phase || stepOf(last) !== stepOf(next);
}

async function newDecisions(
  { client, rollout, signal }: Follow,
  known: readonly DecisionView[],
): Promise<readonly DecisionView[]> {
  const stored = await client('listDecisions', { params: { rollout }, query: { limit: ENOUGH_DECISIONS }, signal });
  const seen = new Set(known.map(({ revision }) => revision));
  return stored.filter(({ decision, revision }) => decision.action !== 'hold' && !seen.has(revision)).toReversed();
}

function wordsOf({ rollout, challengerPercent }: RolloutView): string {
  return rollout.state.phase === 'stepping' ? `at ${challengerPercent} %` : rollout.state.phase;
}
