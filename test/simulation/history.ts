/** What really happened, seen at the store itself: every commit is checked when it happens, whoever hears of it. */
import type { Model } from '@understudy/core/model';
import type { ModelVersion } from '@understudy/core/model-version';
import { isLive, type Rollout } from '@understudy/core/rollout';
import type { GatewayReport } from '@understudy/contract/report';
import type { Commit, CommitResult, Store, Write } from '../../packages/server/src/storage/store.ts';
import { problemOfTransition } from './transitions.ts';

/** A promise that was broken. */
export interface Violation {
  /** Which one; docs/robustness.md lists them. */
  readonly invariant: string;
  readonly detail: string;
}

/** The state after a revision, as far as people are told about it. */
export interface Moment {
  readonly champion: string | undefined;
  readonly newest: Rollout | undefined;
}

export interface History {
  /** The store with eyes on it: what goes through here has arrived at the store. */
  readonly store: Store;
  readonly violations: Violation[];
  readonly model: () => Model | undefined;
  readonly rollouts: () => readonly Rollout[];
  readonly newest: () => Rollout | undefined;
  readonly revision: () => number;
  readonly at: (revision: number) => Moment | undefined;
  /** When changes with this reason were committed. */
  readonly committedAtMs: (reason: string) => readonly number[];
  readonly health: (version: string) => ModelVersion['health'] | undefined;
  readonly hasArrived: (report: Pick<GatewayReport, 'gateway' | 'boot' | 'sequence'>) => boolean;
  /** Requests of all distinct reports that arrived at the store. */
  readonly requestsArrived: () => number;
  /** The longest time that a report took from the clock of the control plane that took it to the store, in milliseconds. */
  readonly report: (violation: Violation) => void;
}

export interface HistoryParts {
  readonly store: Store;
  readonly nowMs: () => number;
  /** Holds are only promised where the clocks of control planes agree. */
  readonly areHoldsPromised: boolean;
}

/** How long a step was held until it was last paused, and since when it is held now. */
interface Held {
  readonly step: number;
  readonly beforeMs: number;
  readonly sinceMs: number;
}

// How long a decision may be on its way from the clock it was made by to the store: 5 s of a pause and 2 s of a network.
const HOLD_TOLERANCE_MS = 2000;

const MOST_VIOLATIONS = 20;

export function openHistory({ store, nowMs, areHoldsPromised }: HistoryParts): History {
  const violations: Violation[] = [];
  const rollouts = new Map<string, Rollout>();
  const versions = new Map<string, ModelVersion>();
  const moments = new Map<number, Moment>();
  const reasons = new Map<string, number[]>();
  const windows = new Set<string>();
  const holds = new Map<string, Held>();
  const reports = new Map<string, number>();
  const listeners = new Set<(environment: string, revision: number) => void>();
  let model: Model | undefined;
  let revision = 0;

  const report = (violation: Violation): void => {
    if (violations.length < MOST_VIOLATIONS) violations.push(violation);
  };
  const newest = (): Rollout | undefined => [...rollouts.values()].at(-1);

  function take(commit: Commit, result: CommitResult): void {
    if (result.outcome !== 'committed') return;
    if (result.revision !== revision + 1) report({ invariant: 'journal', detail: `${result.revision} follows ${revision}` });
    revision = Math.max(revision, result.revision);
    reasons.set(commit.reason, [...(reasons.get(commit.reason) ?? []), nowMs()]);
    checkWindow(commit);
    const before = model;
    for (const write of commit.writes) takeWrite(commit, write);
    if (model !== undefined) checkModel(commit, before, model);
    moments.set(revision, { champion: model?.champion, newest: newest() });
  }

  function checkWindow({ decision }: Commit): void {
    if (decision === undefined || decision.decision.action === 'hold') return;
    const key = `${decision.rollout} in window ${decision.window}`;
    if (windows.has(key)) report({ invariant: 'one step a window', detail: `${key} was decided twice` });
    windows.add(key);
  }

  function takeWrite(commit: Commit, { kind, id, body }: Write): void {
    // What the history reads was made by the code under test a moment ago; its own schemas guard what is read back.
    if (kind === 'model') model = body as unknown as Model;
    if (kind === 'version') versions.set(id, body as unknown as ModelVersion);
    if (kind !== 'rollout') return;
    const after = body as unknown as Rollout;
    const before = rollouts.get(id);
    const problem = problemOfTransition(before, after, commit);
    if (problem !== undefined)
      report({ invariant: problem.invariant, detail: `${id} at revision ${revision}: ${problem.detail}` });
    if (areHoldsPromised) checkHold(commit, before, after);
    noteHold(after);
    rollouts.set(id, after);
  }

  function checkHold({ actor, decision }: Commit, before: Rollout | undefined, after: Rollout): void {
    if (actor !== 'engine' || before?.state.phase !== 'stepping') return;
    const isUp = decision?.decision.action === 'advance' || decision?.decision.action === 'promote';
    const held = holds.get(after.id);
    if (!isUp || held === undefined) return;
    const [heldMs, wantedMs] = [held.beforeMs + nowMs() - held.sinceMs, before.plan.steps[held.step]?.holdMs ?? 0];
    if (heldMs < wantedMs - HOLD_TOLERANCE_MS) {
      report({ invariant: 'holds', detail: `${after.id} left step ${held.step} after ${Math.round(heldMs)} of ${wantedMs} ms` });
    }
  }

  function noteHold({ id, state }: Rollout): void {
    const held = holds.get(id);
    if (state.phase === 'paused' && held !== undefined) {
      holds.set(id, { ...held, beforeMs: held.beforeMs + nowMs() - held.sinceMs, sinceMs: Infinity });
    }
    if (state.phase !== 'stepping') return;
    if (held?.step !== state.step) holds.set(id, { step: state.step, beforeMs: 0, sinceMs: nowMs() });
    else if (held.sinceMs === Infinity) holds.set(id, { ...held, sinceMs: nowMs() });
  }

  function checkModel(commit: Commit, before: Model | undefined, after: Model): void {
    const say = (invariant: string, detail: string): void => report({ invariant, detail: `revision ${revision}: ${detail}` });
    const open = after.terms.filter(({ untilMs }) => untilMs === undefined);
    if (after.terms.length > 0 && (open.length !== 1 || open[0]?.version !== after.champion)) {
      say('one champion', `terms of ${open.map(({ version }) => version).join(', ')} are open and ${after.champion} is champion`);
    }
    const live = [...rollouts.values()].filter(({ state }) => isLive(state)).map(({ id }) => id);
    if (live.join() !== (after.liveRollout ?? '')) {
      say('one live rollout', `${live.join() || 'none'} is live and the model says ${after.liveRollout ?? 'none'}`);
    }
    if (after.killed !== undefined && live.length > 0) say('kill', `${live.join()} is live although the model is killed`);
    const promoted = commit.writes.some(({ kind, id }) => kind === 'rollout' && rollouts.get(id)?.state.phase === 'promoted');
    const isCrowned = before?.champion !== after.champion;
    if (before?.champion !== undefined && isCrowned && !promoted && !commit.action.startsWith('model.')) {
      say('one champion', `${commit.action} changed the champion from ${before.champion} to ${after.champion}`);
    }
    if (!promoted) return;
    if (!isCrowned && commit.action === 'rollout.promoted') say('one champion', 'a promotion left the champion as it was');
    const crowned = versions.get(`${after.name}/${after.champion ?? ''}`);
    if (commit.actor === 'engine' && crowned?.health.state === 'unhealthy') {
      say('people win', `the engine made ${after.champion} champion, which was marked unhealthy by ${crowned.health.by}`);
    }
  }

  const seen: Store = {
    ...store,
    async commit(commit) {
      const result = await store.commit(commit);
      take(commit, result);
      if (result.outcome === 'committed') for (const listener of listeners) listener(commit.environment, result.revision);
      return result;
    },
    async appendReport(environment, given, seenAtMs) {
      const outcome = await store.appendReport(environment, given, seenAtMs);
      const requests = given.blocks.reduce((sum, { tally }) => sum + tally.requests, 0);
      reports.set(nameOf(given), requests);
      return outcome;
    },
    onCommit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return {
    store: seen,
    violations,
    report,
    newest,
    model: () => model,
    rollouts: () => [...rollouts.values()],
    revision: () => revision,
    at: (wanted) => moments.get(wanted),
    committedAtMs: (reason) => reasons.get(reason) ?? [],
    health: (version) => versions.get(`${model?.name ?? ''}/${version}`)?.health,
    hasArrived: (wanted) => reports.has(nameOf(wanted)),
    requestsArrived: () => [...reports.values()].reduce((sum, requests) => sum + requests, 0),
  };
}

function nameOf({ gateway, boot, sequence }: Pick<GatewayReport, 'gateway' | 'boot' | 'sequence'>): string {
  return `${gateway} ${boot} ${sequence}`;
}
