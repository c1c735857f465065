/** Decides on one live rollout: gathers what is known, asks the core, commits the answer. Safe to run any number of times, anywhere. */
import { unfitBecause } from '@understudy/core/quarantine';
import type { ModelVersion } from '@understudy/core/model-version';
import type { Judgement, Verdict } from '@understudy/core/policy';
import { decide, type Decision, isLive, type Rollout, type Situation } from '@understudy/core/rollout';
import type { ArmCounts } from '@understudy/contract/views';
import type { Caller, CommandContext } from '../commands/command.ts';
import { applyDecision } from '../commands/decisions.ts';
import { frozenBecause, holdFreezes } from '../commands/freezes.ts';
import { hold, holdRollout, listBodies, versionId } from '../commands/queries.ts';
import { cutOffBecause, givenUpBecause } from '../commands/gateway-trials.ts';
import { notReadyBecause } from '../commands/readiness.ts';
import type { GatewayStatus } from '../storage/store.ts';
import { openNotedHolds } from './noted-holds.ts';
import { openEvidenceSeal } from './evidence-seal.ts';
import { openStoredLedger, type ShadowSeen, type StoredLedger } from './rollout-ledger.ts';

/** A person asks for a decision now; with an idempotency key, what it came to happens once. */
export interface StepRequest extends Caller {
  readonly skipHold: boolean;
  /** Goes forward this once although a freeze holds. */
  readonly overrideFreeze?: boolean;
  readonly reason: string;
}

/** What there is to see of a rollout; without judgement when it has ended. */
export interface RolloutSight {
  readonly judgement?: Judgement;
  readonly arms: readonly ArmCounts[];
  readonly shadow?: ShadowSeen;
}

/** Looks at rollouts and decides on them. */
export interface RolloutJudge {
  /** Decides once. @returns the decision when it was committed, undefined when nothing had to be written */
  evaluate(id: string, request?: StepRequest): Promise<Decision | undefined>;
  /** The evidence so far, without deciding; no judgement on rollouts that are over for good. */
  lookAt(rollout: Rollout): Promise<RolloutSight>;
  /** The verdict on the evidence so far, without its reasons; that of the last look when it was within a second. */
  verdictOf(rollout: Rollout): Promise<Verdict>;
  /** Does some work for which these facts hold: a thousand rollouts ask for them. */
  withFacts(facts: RoundFacts, work: () => Promise<void>): Promise<void>;
  /** Forgets every rollout that is neither live nor promoted provisionally. */
  keepOnly(rollouts: KeptRollouts): void;
}

// Evidence is closed once a second: until then there is nothing new to judge.
const FRESH_MS = 1000;

// Somebody who changes a rollout between our read and our commit makes us look again; five times in a row is a bug.
const MAX_LOOKS = 5;

/** Ids of rollouts whose evidence still counts. */
export interface KeptRollouts {
  readonly live: ReadonlySet<string>;
  readonly provisional: ReadonlySet<string>;
}

/** What does not depend on the rollout. */
export interface RoundFacts {
  readonly gateways: readonly GatewayStatus[];
  /** Of all models: what is made of the same file as one that is unhealthy must not be on trial anywhere. */
  readonly versions: readonly ModelVersion[];
}

export function openRolloutJudge(context: CommandContext): RolloutJudge {
  let facts: RoundFacts | undefined;
  const factsNow = async (): Promise<RoundFacts> => facts ?? readFacts(context);
  const { look, isJudged, ...sights } = openSights(context);
  const holds = openNotedHolds(context);

  async function evaluate(id: string, request?: StepRequest): Promise<Decision | undefined> {
    for (let attempt = 0; attempt < MAX_LOOKS; attempt += 1) {
      const held = await holdRollout(context, id);
      if (!isLive(held.body.state)) return undefined;
      const seen = await look(held.body);
      const { atMs } = seen;
      const freezes = await holdFreezes(context);
      const frozen = frozenBecause(freezes.body, { model: held.body.model, atMs: context.clock.nowMs() });
      const situation = situationOf(await factsNow(), held.body, seen);
      const decision = decideWithin(held.body, { ...situation, skipHold: request?.skipHold ?? false }, { frozen, request });
      if (decision.action === 'hold' && !(await holds.isNew(id, decision))) return undefined;
      const isOwnAction = request === undefined && decision.action !== 'hold';
      const window = isOwnAction ? windowOf(held.body, atMs) : await freeWindow(context);
      const caller = request ?? { actor: 'engine' };
      const isTold = await holds.wasTold(id, decision, atMs);
      const applied = await applyDecision(context, caller, { rollout: held, decision, window, atMs, freezes, isTold });
      if (applied === 'applied') {
        if (decision.action === 'hold') holds.note(id, decision);
        return decision;
      }
      if (applied === 'replayed' || (applied === 'already-decided' && isOwnAction)) return undefined;
    }
    throw new Error(`rollout "${id}" changed ${MAX_LOOKS} times while it was being decided`);
  }

  return {
    evaluate,
    async lookAt(rollout) {
      const { judgement, arms, shadow } = await look(rollout);
      const seen = { arms, ...(shadow === undefined ? {} : { shadow }) };
      return isJudged(rollout) ? { judgement, ...seen } : seen;
    },
    verdictOf: (rollout) => sights.verdictOf(rollout),
    async withFacts({ gateways, versions }, work) {
      facts = { gateways, versions: versions.filter(isUnhealthy) };
      try {
        await work();
      } finally {
        facts = undefined;
      }
    },
    keepOnly(kept) {
      sights.keepOnly(kept);
      holds.keepOnly((id) => kept.live.has(id) || kept.provisional.has(id));
    },
  };
}

async function readFacts(context: CommandContext): Promise<RoundFacts> {
  const versions = (await listBodies(context, 'version')).filter(isUnhealthy);
  return { versions, gateways: await context.store.gateways(context.environment) };
}

const isUnhealthy = ({ health }: ModelVersion): boolean => health.state === 'unhealthy';

/** What is known of rollouts: their ledgers, and the verdicts of the last looks at them. */
function openSights(context: CommandContext) {
  const ledgers = new Map<string, StoredLedger>();
  const seal = openEvidenceSeal(context);
  const newest = new Map<string, { readonly atMs: number; readonly verdict: Verdict }>();
  let provisional: ReadonlySet<string> = new Set();

  const isJudged = ({ id, state }: Rollout): boolean => isLive(state) || provisional.has(id);

  async function ledgerOf(rollout: Rollout): Promise<StoredLedger> {
    const ledger = ledgers.get(rollout.id) ?? openStoredLedger(context, seal, rollout);
    if (isJudged(rollout)) ledgers.set(rollout.id, ledger);
    await ledger.catchUp();
    return ledger;
  }

  async function look(rollout: Rollout): Promise<Look> {
    const ledger = await ledgerOf(rollout);
    const challenger = await hold(context, 'version', versionId(rollout.model, rollout.challenger));
    const { atMs, judgement } = ledger.judge(rollout);
    if (isJudged(rollout)) newest.set(rollout.id, { atMs, verdict: judgement.verdict });
    return { atMs, judgement, challenger: challenger?.body, arms: ledger.arms(rollout), shadow: ledger.shadow(rollout) };
  }

  return {
    look,
    isJudged,
    async verdictOf(rollout: Rollout): Promise<Verdict> {
      const seen = newest.get(rollout.id);
      if (seen !== undefined && context.clock.nowMs() - seen.atMs < FRESH_MS) return seen.verdict;
      return (await ledgerOf(rollout)).verdict(rollout);
    },
    keepOnly(kept: KeptRollouts): void {
      provisional = kept.provisional;
      for (const id of ledgers.keys()) {
        if (kept.live.has(id) || kept.provisional.has(id)) continue;
        ledgers.delete(id);
        newest.delete(id);
      }
    },
  };
}

interface Look {
  readonly atMs: number;
  readonly judgement: Judgement;
  readonly challenger: ModelVersion | undefined;
  readonly arms: readonly ArmCounts[];
  readonly shadow: ShadowSeen | undefined;
}

/** What was seen, and what is known beside it. */
function situationOf({ gateways, versions }: RoundFacts, rollout: Rollout, seen: Look): Situation {
  const { atMs, judgement, challenger } = seen;
  const wanted = { model: rollout.model, version: rollout.challenger, source: challenger?.source };
  return {
    atMs,
    judgement,
    unhealthy: challenger === undefined ? undefined : unfitBecause(challenger, versions),
    givenUp: givenUpBecause(gateways, rollout, atMs),
    notReady: notReadyBecause(gateways, wanted, atMs),
    cutOff: cutOffBecause(gateways, rollout, atMs),
    isExternal: challenger?.source.kind === 'external',
  };
}

/** Holds and a person's own steps have negative numbers, so that they never take the place of an action in its window. */
async function freeWindow(context: CommandContext): Promise<number> {
  return -1 - (await context.store.revision(context.environment));
}

/** Windows count checks since the start; the engine acts at most once in each. */
function windowOf(rollout: Rollout, atMs: number): number {
  return Math.floor(Math.max(0, atMs - rollout.startedAtMs) / rollout.plan.checkEveryMs);
}

interface Restraints {
  readonly frozen: string | undefined;
  readonly request: StepRequest | undefined;
}

/** Decides within freezes, or past them when a person says so; then the reason says who and why. */
function decideWithin(rollout: Rollout, situation: Situation, { frozen, request }: Restraints): Decision {
  if (frozen === undefined) return decide(rollout, situation);
  if (request?.overrideFreeze !== true) return decide(rollout, { ...situation, frozen });
  const decision = decide(rollout, situation);
  const { actor, reason } = request;
  return { ...decision, reason: `${decision.reason}; ${actor} did not wait (${reason}), although ${frozen}` };
}
