/** Which arm a version was on at a moment of the last hour. Observations come late, and a step may have changed meanwhile. */
import { RolloutStateSchema } from '@understudy/contract/rollout-documents';
import { bucketOf } from '@understudy/core/bucketing';
import type { Arm } from '@understudy/core/evidence';
import { type FlagDecision, versionOfDecision } from '@understudy/core/flags/rollout-flags';
import { championAt, DEFAULT_COMPARISON, type Model } from '@understudy/core/model';
import type { Pairing } from '@understudy/core/pair-counter';
import { boundaryOfRollout, isLive, type Rollout, type RolloutState, shadowStepOf, stepOf } from '@understudy/core/rollout';
import { DEFAULT_SEQUENTIAL } from '@understudy/core/sequential/config';
import { pairLinesOf } from '@understudy/core/sequential/paired-guard';
import { compileSnapshot, type EnvironmentState } from '@understudy/core/snapshot';
import { z } from 'zod';
import { loadEnvironment } from '../commands/queries.ts';
import type { Store } from '../storage/store.ts';

/** Older observations are not placed. */
export const LATEST_MS = 3_600_000;

/** A version of a model, or a variant of a flag that follows one. */
export type Decided = { readonly model: string; readonly version: string } | FlagDecision;

/** A decision as far as it is known. */
export interface DecisionMade {
  readonly decided: Decided;
  readonly atMs: number;
  /** Whom it was made for. */
  readonly subject?: string | undefined;
  /** Something else than the split decided. */
  readonly isByRule?: boolean;
}

/** Where requests count, or why they do not. */
export type Place =
  | {
      readonly outcome: 'placed';
      readonly model: string;
      readonly version: string;
      readonly arm: Arm;
      /** Absent outside of a rollout, and for requests that chance did not send to this arm: they are no comparison. */
      readonly trial?: { readonly rollout: string; readonly step: number };
      /** Predicted numbers are counted between these. */
      readonly binEdges?: readonly number[];
    }
  | { readonly outcome: 'unplaced'; readonly reason: string };

/** Where a pair counts and how it is compared, or why it does not. */
export type PairPlace =
  | (Extract<Place, { outcome: 'placed' }> & { readonly champion: string; readonly pairing: Pairing })
  | Extract<Place, { outcome: 'unplaced' }>;

/** The models and rollouts of an environment with their last hour. */
export interface RolloutHistory {
  placeOf(decision: DecisionMade): Place;
  /** Where a pair counts: in the rollout whose step of shadow it was, or as one of a standing shadow. */
  placeOfPair(pair: { readonly model: string; readonly version: string; readonly atMs: number }): PairPlace;
}

export interface HistorySource {
  readonly store: Pick<Store, 'read' | 'list' | 'readAll' | 'revision' | 'journal'>;
  readonly environment: string;
}

/** Reads what is needed, again only after a commit. */
export function openHistory(source: HistorySource): (atMs: number) => Promise<RolloutHistory> {
  let known: { readonly revision: number; readonly history: RolloutHistory } | undefined;
  return async (atMs) => {
    if (known === undefined || known.revision !== (await source.store.revision(source.environment))) {
      const state = await loadEnvironment(source);
      known = { revision: state.revision, history: await historyOf(source, state, atMs) };
    }
    return known.history;
  };
}

/** A rollout and when it came to its states, oldest first. */
interface Course {
  readonly rollout: Rollout;
  readonly states: readonly { readonly atMs: number; readonly state: RolloutState }[];
}

async function historyOf(source: HistorySource, environment: EnvironmentState, atMs: number): Promise<RolloutHistory> {
  const recent = environment.rollouts.filter(({ state }) => isLive(state) || !('atMs' in state) || state.atMs > atMs - LATEST_MS);
  const courses = await Promise.all(
    recent.map(async (rollout): Promise<Course> => ({ rollout, states: await statesOf(source, rollout.id) })),
  );
  const edges = new Map(compileSnapshot(environment).models.map(({ name, binEdges }) => [name, binEdges]));
  const models = new Map(environment.models.map((model) => [model.name, model]));
  return {
    placeOf(decision) {
      for (const model of modelsOf(models, decision.decided)) {
        const trial = trialAt(courses, model.name, decision.atMs);
        const version = versionOf(model, trial, decision.decided);
        if (version !== undefined) return place({ model, version, trial, binEdges: edges.get(model.name) }, decision);
      }
      return { outcome: 'unplaced', reason: unknownReason(decision.decided) };
    },
    placeOfPair({ model: name, version, atMs: thenMs }) {
      const model = models.get(name);
      if (model === undefined) return { outcome: 'unplaced', reason: `there is no model "${name}"` };
      return placePair({ model, version, trial: trialAt(courses, name, thenMs), binEdges: edges.get(name) }, thenMs);
    },
  };
}

function modelsOf(models: ReadonlyMap<string, Model>, decided: Decided): readonly Model[] {
  if ('model' in decided) return [models.get(decided.model)].filter((model) => model !== undefined);
  return [...models.values()].filter(({ name }) => decided.flag.startsWith(`${name}-`));
}

function unknownReason(decided: Decided): string {
  return 'model' in decided
    ? `there is no model "${decided.model}"`
    : `the flag "${decided.flag}" did not follow a rollout of any model at that time`;
}

/** A rollout in one of its live states. */
interface Trial {
  readonly rollout: Rollout;
  readonly state: RolloutState;
}

function trialAt(courses: readonly Course[], model: string, atMs: number): Trial | undefined {
  for (const { rollout, states } of courses) {
    const state = rollout.model === model ? states.findLast((entry) => entry.atMs <= atMs)?.state : undefined;
    if (state !== undefined && isLive(state)) return { rollout, state };
  }
  return undefined;
}

function versionOf(model: Model, trial: Trial | undefined, decided: Decided): string | undefined {
  return 'model' in decided ? decided.version : versionOfDecision(model.name, trial?.rollout, decided);
}

interface Placing {
  readonly model: Model;
  readonly version: string;
  readonly trial: Trial | undefined;
  readonly binEdges: readonly number[] | undefined;
}

function place({ model, version, trial, binEdges }: Placing, { atMs, subject, isByRule = false }: DecisionMade): Place {
  const champion = trial?.rollout.champion ?? championAt(model, atMs);
  const isChallenger = trial?.rollout.challenger === version;
  if (!isChallenger && version !== champion) {
    const reason = `${version} was neither champion nor challenger of "${model.name}" at that time`;
    return { outcome: 'unplaced', reason };
  }
  const arm = isChallenger ? 'challenger' : 'champion';
  const where = { outcome: 'placed', model: model.name, version, arm, ...(binEdges === undefined ? {} : { binEdges }) } as const;
  const step = trial === undefined ? -1 : stepOf(trial.state);
  if (trial === undefined || step < 0 || isByRule || !isGivenBySplit(trial, subject, isChallenger)) return where;
  return { ...where, trial: { rollout: trial.rollout.id, step } };
}

function placePair({ model, version, trial, binEdges }: Placing, atMs: number): PairPlace {
  const { comparison = DEFAULT_COMPARISON, shadow } = model;
  const where = { outcome: 'placed', model: model.name, version, arm: 'shadow' } as const;
  const counted = binEdges === undefined ? {} : { binEdges };
  const isOfTrial =
    trial?.rollout.challenger === version && shadowStepOf({ plan: trial.rollout.plan, state: trial.state }) !== undefined;
  if (trial !== undefined && isOfTrial) {
    const { rollout, state } = trial;
    const { policy } = rollout.plan;
    const lines = policy.kind === 'sequential' ? pairLinesOf(policy.guards) : [];
    const pairing = { lines, comparison, binEdges };
    return { ...where, ...counted, champion: rollout.champion, trial: { rollout: rollout.id, step: stepOf(state) }, pairing };
  }
  const champion = championAt(model, atMs);
  if (champion === undefined || shadow?.version !== version || atMs < shadow.sinceMs) {
    return { outcome: 'unplaced', reason: `${version} was not the shadow of "${model.name}" at that time` };
  }
  const pairing = { lines: pairLinesOf(DEFAULT_SEQUENTIAL.guards), comparison, binEdges };
  return { ...where, ...counted, champion, pairing };
}

/** Whether the subject's bucket gives this arm; nobody knows it of requests without a subject. */
function isGivenBySplit({ rollout, state }: Trial, subject: string | undefined, isChallenger: boolean): boolean {
  if (subject === undefined) return true;
  const boundary = boundaryOfRollout({ plan: rollout.plan, state });
  return bucketOf(rollout.salt, subject) < boundary === isChallenger;
}

// A rollout changes its state when it climbs, is paused or ends: far less often in an hour.
const MOST_STATES = 500;

/** Only this part of a rollout's document: the rest never changes, and what an older release wrote may lack some of it. */
const StateInJournal = z.object({ state: RolloutStateSchema });

async function statesOf({ store, environment }: HistorySource, id: string): Promise<Course['states']> {
  const query = { subject: { kind: 'rollout', id }, order: 'newest-first', limit: MOST_STATES } as const;
  const entries = await store.journal(environment, query);
  return entries.toReversed().flatMap(({ atMs, changes }) => {
    const change = changes.find(({ kind, id: changed }) => kind === 'rollout' && changed === id);
    const after = StateInJournal.safeParse(change?.after);
    return after.success ? [{ atMs, state: after.data.state }] : [];
  });
}
