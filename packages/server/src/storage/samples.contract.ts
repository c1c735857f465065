/** What the contract suite writes: short builders with everything that does not matter filled in. */
import type { GatewayReport } from '@understudy/contract/report';
import { EMPTY_TALLY, type EvidenceBlock } from '@understudy/core/evidence';
import type { Decision } from '@understudy/core/rollout';
import type { Commit, CommitResult, Json, Store, Write } from './store.ts';

/** Opens an empty store. */
export type OpenStore = () => Promise<Store>;

export const ENVIRONMENT = 'production';

export const DECISION: Decision = {
  action: 'advance',
  verdict: 'healthy',
  reason: 'every guard is healthy',
  guards: [
    { guard: 'errors', verdict: 'healthy', champion: 0.01, challenger: 0.02, unit: 'share', samples: 500, reason: 'within' },
  ],
  next: { phase: 'stepping', step: 1, sinceMs: 1_700_000_000_000.25 },
};

/** A commit of these writes. */
export function commitOf(writes: readonly Write[], extra: Partial<Commit> = {}): Commit {
  return {
    environment: ENVIRONMENT,
    writes,
    actor: 'ada',
    action: 'model.changed',
    reason: 'because',
    atMs: 1_700_000_000_000.5,
    ...extra,
  };
}

/** One write to a model. */
export function writeTo(id: string, expectedRevision: number, body?: Json): Write {
  return { kind: 'model', id, expectedRevision, body };
}

/** A commit of one model. */
export function put(id: string, expectedRevision: number, body: Json): Commit {
  return commitOf([writeTo(id, expectedRevision, body)]);
}

/** A commit that only decides. */
export function decide(rollout: string, window: number, extra: Partial<Commit> = {}): Commit {
  return commitOf([], { action: 'rollout.advanced', decision: { rollout, window, decision: DECISION }, ...extra });
}

export function blockOf(model: string, startMs: number): EvidenceBlock {
  const tally = { ...EMPTY_TALLY, requests: 2, latency: [[3, 2]] as const, classes: { yes: 2 } };
  return { model, version: 'v1', arm: 'champion', startMs, tally };
}

export function reportOf(sequence: number, extra: Partial<GatewayReport> = {}): GatewayReport {
  return { gateway: 'gw-1', boot: 'boot-1', sequence, revision: sequence, readiness: [], blocks: [], ...extra };
}

/** Two people change what they both read at one revision. Exactly one may win. */
export async function raceForOneRevision(store: Store): Promise<readonly CommitResult['outcome'][]> {
  await store.commit(put('fraud', 0, { step: 0 }));
  const results = await Promise.all([store.commit(put('fraud', 1, { step: 1 })), store.commit(put('fraud', 1, { step: 2 }))]);
  return results.map(({ outcome }) => outcome);
}
