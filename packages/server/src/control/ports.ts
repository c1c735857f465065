/** What the control API needs from its siblings, wired in `compose-control.ts`. */
import type { ArmCounts, ArtifactView, ReplayView, RolloutEvidenceView } from '@understudy/contract/views';
import type { HookTestView } from '@understudy/contract/people-endpoints';
import type { CheckConfig } from '@understudy/core/checks/config';
import type { Tally } from '@understudy/core/evidence';
import type { Hook } from '@understudy/core/hook';
import type { Plan } from '@understudy/core/plan';
import type { Model } from '@understudy/core/model';
import type { Judgement } from '@understudy/core/policy';
import type { Rollout } from '@understudy/core/rollout';
import type { ShadowFinding } from '@understudy/core/shadow-ledger';
import type { WatchFinding } from '@understudy/core/watch';
import type { Caller } from '../commands/command.ts';
import type { RehearseChecks } from '../commands/rollout-opening.ts';

/** What the rollout engine sees, and asking it for a decision now. */
export interface EngineWindow {
  /** The verdict on the evidence stored so far, with the arms' counts; `judgement` is absent for ended rollouts. */
  lookAt(rollout: Rollout): Promise<{
    readonly judgement?: Judgement;
    readonly arms: readonly ArmCounts[];
    readonly shadow?: { readonly tally: Tally; readonly silentMs: number | undefined };
  }>;
  /** What a model's standing shadow has come to; undefined without one. */
  shadowOf(model: Model): Promise<ShadowFinding | undefined>;
  /** The watch over a model's champion; undefined before the first look. */
  watchOf(model: string): Promise<WatchFinding | undefined>;
  /** Decides on one rollout now. Resolves when the decision, if there is one, is committed. */
  step(
    rollout: string,
    request: Caller & { readonly skipHold: boolean; readonly overrideFreeze?: boolean; readonly reason: string },
  ): Promise<void>;
  /** What a version did as champion within the last day, for a live baseline. */
  liveTally(model: string, version: string): Promise<Tally>;
  /**
   * Decides a rollout again from what is stored about it; with another plan, says where that one would have decided otherwise.
   * @throws AppError `request.overloaded` while another one is replayed
   */
  replay(rollout: Rollout, other: Plan | undefined): Promise<ReplayView>;
  /** What both arms of a rollout did in each step. */
  evidenceOf(rollout: Rollout): Promise<RolloutEvidenceView>;
}

/** Guards from elsewhere, before they are used. */
export interface CheckDesk {
  readonly rehearse: RehearseChecks;
  /** Why the address of a check may not be called; undefined when it may. */
  addressProblemOf(check: CheckConfig): string | undefined;
}

/** Uploaded model files. */
export interface ArtifactIntake {
  /**
   * Stores a stream of bytes by its digest and loads it once to read its signature.
   * @throws AppError `artifact.*` with what to do instead
   */
  put(bytes: AsyncIterable<Uint8Array>, fileName: string | undefined): Promise<ArtifactView>;
  /** A stored file; undefined when it was never uploaded. */
  find(sha256: string): Promise<ArtifactView | undefined>;
  /** Runs rows of features through a stored file and returns the recorded prediction of each. */
  predict(sha256: string, rows: readonly (readonly number[])[]): Promise<readonly number[]>;
}

/** Webhooks as handlers need them. */
export interface HookDesk {
  /** Why messages may not go to an address; undefined when they may. */
  problemOf(url: string): string | undefined;
  /** What a hook's messages are signed with. */
  secretOf(hook: Pick<Hook, 'name' | 'salt'>): string;
  /** Sends a test message now. */
  test(hook: Hook): Promise<HookTestView>;
}

/** The text of the Prometheus page. */
export type MetricsPage = () => Promise<{ readonly type: string; readonly text: string }>;
