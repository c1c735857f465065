/** The engine: at every tick it computes for each model what should be, commits it, and forgets. A crash leaves nothing to repair. */
import { isAppError } from '@understudy/core/errors';
import type { Tally } from '@understudy/core/evidence';
import type { Model } from '@understudy/core/model';
import type { Verdict } from '@understudy/core/policy';
import { type Decision, type Rollout, shadowStepOf } from '@understudy/core/rollout';
import { SILENT_MS } from '@understudy/core/shadow-silence';
import type { WatchFinding } from '@understudy/core/watch';
import type { CommandContext } from '../commands/command.ts';
import { loadEnvironment } from '../commands/queries.ts';
import { noteStandbys } from '../commands/standbys.ts';
import { type ChampionWatch, openChampionWatch, type WatchOutcome } from './champion-watch.ts';
import { readChampionTraffic } from '../commands/evidence-reader.ts';
import { type FeedbackCohorts, openFeedbackCohorts } from './feedback-cohorts.ts';
import { type LateTruth, openLateTruth, provisionalOf } from './late-truth.ts';
import { openPace, type Pace } from './pace.ts';
import { openShadowWatch, type ShadowWatch } from './shadow-watch.ts';
import { openRolloutJudge, type RolloutJudge, type StepRequest } from './rollout-judge.ts';
import { openRolloutReplay, type RolloutReplay } from './rollout-replay.ts';

/** Events with fields; the names are for people who search logs. */
export interface EngineLog {
  info(fields: object, event: string): void;
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
}

export interface Engine {
  /** One round over all models. Ticks never overlap. */
  tick(): Promise<void>;
  lookAt: RolloutJudge['lookAt'];
  watchOf(model: string): Promise<WatchFinding | undefined>;
  shadowOf: ShadowWatch['lookAt'];
  step(rollout: string, request: StepRequest): Promise<void>;
  /** What a version did as champion within the last day, for a baseline. */
  liveTally(model: string, version: string): Promise<Tally>;
  replay: RolloutReplay['replay'];
  evidenceOf: RolloutReplay['evidenceOf'];
}

// Cohorts are minutes.
const FEEDBACK_EVERY_MS = 10_000;

// Gateways try standbys once a minute.
const STANDBYS_EVERY_MS = 5000;

// A live baseline is made of what the version predicted within the last day.
const BASELINE_LOOK_BACK_MS = 86_400_000;

export function openEngine(context: CommandContext, log: EngineLog): Engine {
  const judge = openRolloutJudge(context);
  const watch = openChampionWatch(context);
  const late = openLateTruth(context, judge);
  const shadows = openShadowWatch(context);
  const tend = openTending({
    context,
    judge,
    watch,
    late,
    cohorts: openFeedbackCohorts(context),
    shadows,
    log,
    isDue: openPace(context.clock),
  });
  let ticking: Promise<void> = Promise.resolve();

  async function round(): Promise<void> {
    const state = await loadEnvironment(context);
    const rollouts = new Map(state.rollouts.map((rollout) => [rollout.id, rollout]));
    const provisional = provisionalOf(state, context.clock.nowMs());
    judge.keepOnly({
      live: new Set(state.models.flatMap((model) => model.liveRollout ?? [])),
      provisional: new Set([...provisional.values()].map(({ id }) => id)),
    });
    const facts = { gateways: await context.store.gateways(context.environment), versions: state.versions };
    await judge.withFacts(facts, async () => {
      for (const model of state.models) {
        const live = model.liveRollout === undefined ? undefined : rollouts.get(model.liveRollout);
        await tend(model, { live, provisional: provisional.get(model.name) });
      }
    });
  }

  return {
    tick() {
      ticking = ticking.then(round, round);
      return ticking;
    },
    lookAt: (rollout) => judge.lookAt(rollout),
    watchOf: (model) => watch.lookAt(model),
    shadowOf: (model) => shadows.lookAt(model),
    async step(rollout, request) {
      await judge.evaluate(rollout, request);
    },
    liveTally: (model, version) => liveTally(context, model, version),
    ...openRolloutReplay(context),
  };
}

/** What a model has on trial. */
interface Trials {
  readonly live: Rollout | undefined;
  /** Promoted, with labels still to come. */
  readonly provisional: Rollout | undefined;
}

interface Tending {
  readonly context: CommandContext;
  readonly judge: RolloutJudge;
  readonly watch: ChampionWatch;
  readonly late: LateTruth;
  readonly cohorts: FeedbackCohorts;
  readonly shadows: ShadowWatch;
  readonly log: EngineLog;
  readonly isDue: Pace;
}

/** Versions that answer nobody: a shadow, and former champions that could take over. */
function openBystanders({ context, judge, shadows, log, isDue }: Tending) {
  /** A shadow that is silently dead would pass for one that finds nothing; it is said once a minute. */
  async function listenTo(model: Model, rollout: Rollout | undefined): Promise<void> {
    const isCopied = rollout === undefined ? model.shadow !== undefined : shadowStepOf(rollout) !== undefined;
    if (!isCopied || !isDue(`shadow ${model.name}`, SILENT_MS)) return;
    const seen = rollout === undefined ? await shadows.lookAt(model) : (await judge.lookAt(rollout)).shadow;
    if (seen?.silentMs === undefined) return;
    const shadow = rollout?.challenger ?? model.shadow?.version;
    log.warn({ model: model.name, shadow, silentMs: seen.silentMs, dropped: seen.tally.pairs?.dropped ?? {} }, 'shadow.silent');
  }

  async function lookAfterStandbys({ name, terms }: Model): Promise<void> {
    // A first champion has nobody behind it.
    if (terms.length < 2 || !isDue(`standbys ${name}`, STANDBYS_EVERY_MS)) return;
    const noted = await noteStandbys(context, name);
    if (noted !== undefined) log.warn({ model: name, message: noted.message }, 'standbys.changed');
  }

  return { listenTo, lookAfterStandbys };
}

/** What a tick does for one model. One model's trouble never stops the others; the next tick tries again. */
function openTending(parts: Tending): (model: Model, trials: Trials) => Promise<void> {
  const { judge, watch, late, cohorts, log, isDue } = parts;
  const { listenTo, lookAfterStandbys } = openBystanders(parts);

  async function evaluate(rollout: Rollout): Promise<void> {
    // A challenger that has just become ready should not wait for the next check.
    if (rollout.state.phase !== 'preparing' && !isDue(`rollout ${rollout.id}`, rollout.plan.checkEveryMs)) return;
    const decision = await judge.evaluate(rollout.id);
    if (decision !== undefined) logDecision(log, rollout, decision);
  }

  async function watchOver(model: Model, rollout: Rollout | undefined): Promise<void> {
    if (model.champion === undefined || !isDue(`watch ${model.name}`, model.watch.checkEveryMs)) return;
    const verdict: Verdict | undefined = rollout === undefined ? undefined : await judge.verdictOf(rollout);
    const outcome = await watch.check(model.name, verdict);
    if (outcome !== undefined) logOutcome(log, model, outcome);
  }

  async function lookBack(rollout: Rollout): Promise<void> {
    if (!isDue(`late ${rollout.id}`, rollout.plan.checkEveryMs)) return;
    const found = await late.check(rollout);
    if (found === undefined) return;
    log.warn({ model: rollout.model, rollout: rollout.id, ...found }, 'rollout.undone-by-late-truth');
  }

  return async (model, { live, provisional }) => {
    try {
      if (isDue(`feedback ${model.name}`, FEEDBACK_EVERY_MS)) await cohorts.judge(model);
      if (live !== undefined) await evaluate(live);
      if (provisional !== undefined) await lookBack(provisional);
      await lookAfterStandbys(model);
      await watchOver(model, live);
      await listenTo(model, live);
    } catch (error) {
      const code = isAppError(error) ? error.code : 'internal.unexpected';
      log.error({ model: model.name, code, error }, 'engine.model-failed');
    }
  };
}

async function liveTally(context: CommandContext, model: string, version: string): Promise<Tally> {
  const sinceMs = context.clock.nowMs() - BASELINE_LOOK_BACK_MS;
  return (await readChampionTraffic(context, { model, version, sinceMs })).tally;
}

function logOutcome(log: EngineLog, model: Model, outcome: WatchOutcome): void {
  const fields = { model: model.name, champion: model.champion, reason: outcome.finding.reason };
  if (outcome.outcome === 'rolled-back') log.warn({ ...fields, receipt: outcome.receipt.message }, 'champion.rolled-back');
  if (outcome.outcome === 'nobody-left') log.error({ ...fields, message: outcome.message }, 'champion.nobody-left');
  if (outcome.finding.state === 'cooling-down') log.warn(fields, 'champion.cooling-down');
}

function logDecision(log: EngineLog, rollout: Rollout, decision: Decision): void {
  const { action, verdict, reason } = decision;
  const fields = { rollout: rollout.id, model: rollout.model, challenger: rollout.challenger, action, verdict, reason };
  if (action === 'roll-back') log.warn(fields, 'rollout.decided');
  else log.info(fields, 'rollout.decided');
}
