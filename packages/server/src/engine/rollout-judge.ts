/** Decides on one live rollout: gathers what is known, asks the core, commits the answer. Safe to run any number of times, anywhere. */
import { unfitBecause } from '@understudy/core/quarantine';
import type { VersionSource } from '@understudy/core/model-version';
import type { Judgement } from '@understudy/core/policy';
import { decide, type Decision, isLive, type Rollout } from '@understudy/core/rollout';
import type { ArmCounts } from '@understudy/contract/views';
import type { Caller, CommandContext } from '../commands/command.ts';
import { applyDecision } from '../commands/decisions.ts';
import { getVersions, holdRollout } from '../commands/queries.ts';
import { cutOffBecause } from '../commands/gateway-trials.ts';
import { notReadyBecause } from '../commands/readiness.ts';
import { openStoredLedger, type StoredLedger } from './rollout-ledger.ts';

/** A person asks for a decision now; with an idempotency key, what it came to happens once. */
export interface StepRequest extends Caller {
  readonly skipHold: boolean;
  readonly reason: string;
}

/** Looks at rollouts and decides on them. */
export interface RolloutJudge {
  /** Decides once. @returns the decision when it was committed, undefined when nothing had to be written */
  evaluate(id: string, request?: StepRequest): Promise<Decision | undefined>;
  /** The evidence so far, without deciding; no judgement on rollouts that are over for good. */
  lookAt(rollout: Rollout): Promise<{ readonly judgement?: Judgement; readonly arms: readonly ArmCounts[] }>;
  /** Forgets every rollout that is neither live nor promoted provisionally. */
  keepOnly(rollouts: KeptRollouts): void;
}

// Somebody who changes a rollout between our read and our commit makes us look again; five times in a row is a bug.
const MAX_LOOKS = 5;

/** Ids of rollouts whose evidence still counts. */
export interface KeptRollouts {
  readonly live: ReadonlySet<string>;
  readonly provisional: ReadonlySet<string>;
}

export function openRolloutJudge(context: CommandContext): RolloutJudge {
  const ledgers = new Map<string, StoredLedger>();
  const lastHolds = new Map<string, string>();
  let provisional: ReadonlySet<string> = new Set();

  const isJudged = ({ id, state }: Rollout): boolean => isLive(state) || provisional.has(id);

  async function look(rollout: Rollout): Promise<Look> {
    const ledger = ledgers.get(rollout.id) ?? openStoredLedger(context, rollout);
    if (isJudged(rollout)) ledgers.set(rollout.id, ledger);
    await ledger.catchUp();
    const versions = await getVersions(context, rollout.model);
    const challenger = versions.find((version) => version.version === rollout.challenger);
    const { atMs, judgement } = ledger.judge(rollout);
    const unhealthy = challenger === undefined ? undefined : unfitBecause(challenger, versions);
    return { atMs, judgement, unhealthy, source: challenger?.source, arms: ledger.arms(rollout) };
  }

  async function evaluate(id: string, request?: StepRequest): Promise<Decision | undefined> {
    for (let attempt = 0; attempt < MAX_LOOKS; attempt += 1) {
      const held = await holdRollout(context, id);
      if (!isLive(held.body.state)) return undefined;
      const { atMs, judgement, unhealthy, source } = await look(held.body);
      const wanted = { model: held.body.model, version: held.body.challenger, source };
      const gateways = await context.store.gateways(context.environment);
      const notReady = notReadyBecause(gateways, wanted, atMs);
      const cutOff = cutOffBecause(gateways, held.body, atMs);
      const isExternal = source?.kind === 'external';
      const situation = { atMs, judgement, notReady, cutOff, unhealthy, isExternal, skipHold: request?.skipHold ?? false };
      const decision = decide(held.body, situation);
      if (decision.action === 'hold' && !isNewHold(lastHolds, id, decision)) return undefined;
      const isOwnAction = request === undefined && decision.action !== 'hold';
      const window = isOwnAction ? windowOf(held.body, atMs) : await freeWindow(context);
      const caller = request ?? { actor: 'engine' };
      const applied = await applyDecision(context, caller, { rollout: held, decision, window, atMs });
      if (applied === 'applied') return decision;
      if (applied === 'replayed' || (applied === 'already-decided' && isOwnAction)) return undefined;
    }
    throw new Error(`rollout "${id}" changed ${MAX_LOOKS} times while it was being decided`);
  }

  return {
    evaluate,
    async lookAt(rollout) {
      const { judgement, arms } = await look(rollout);
      return isJudged(rollout) ? { judgement, arms } : { arms };
    },
    keepOnly(kept) {
      provisional = kept.provisional;
      const isKept = (id: string): boolean => kept.live.has(id) || kept.provisional.has(id);
      for (const id of ledgers.keys()) if (!isKept(id)) ledgers.delete(id);
      for (const id of lastHolds.keys()) if (!isKept(id)) lastHolds.delete(id);
    },
  };
}

interface Look {
  readonly atMs: number;
  readonly judgement: Judgement;
  readonly unhealthy: string | undefined;
  /** Of the challenger. */
  readonly source: VersionSource | undefined;
  readonly arms: readonly ArmCounts[];
}

/** Holds and a person's own steps have negative numbers, so that they never take the place of an action in its window. */
async function freeWindow(context: CommandContext): Promise<number> {
  return -1 - (await context.store.revision(context.environment));
}

/** Windows count checks since the start; the engine acts at most once in each. */
function windowOf(rollout: Rollout, atMs: number): number {
  return Math.floor(Math.max(0, atMs - rollout.startedAtMs) / rollout.plan.checkEveryMs);
}

/** Waiting is written down when its cause changes, not at every look. */
function isNewHold(lastHolds: Map<string, string>, id: string, decision: Decision): boolean {
  const guards = decision.guards.map((guard) => [guard.guard, guard.verdict]);
  const cause = JSON.stringify([decision.verdict, decision.next, decision.isCutOff, guards]);
  if (lastHolds.get(id) === cause) return false;
  lastHolds.set(id, cause);
  return true;
}
