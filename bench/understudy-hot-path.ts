// Opens routing and recording in this process, without HTTP and without a model: what the gateway adds to a request.
import { DEFAULT_ROUTING } from '@understudy/core/model';
import type { Snapshot } from '@understudy/core/snapshot';
import { systemClock } from '../packages/server/src/clock.ts';
import type { ArmOutcome } from '../packages/server/src/gateway/arm-outcome.ts';
import { newGatewayCounts } from '../packages/server/src/gateway/gateway-counts.ts';
import { openLease } from '../packages/server/src/gateway/lease.ts';
import { openRecorder } from '../packages/server/src/gateway/recorder.ts';
import { openRequestCounters } from '../packages/server/src/gateway/request-counters.ts';
import { routedRequestOf } from '../packages/server/src/gateway/request-fields.ts';
import { openRequestIds } from '../packages/server/src/gateway/request-id.ts';
import { decide, entryFor } from '../packages/server/src/gateway/routing-decision.ts';
import { openRoutingTable } from '../packages/server/src/gateway/routing-table.ts';
import { openShadowLanes } from '../packages/server/src/gateway/shadow-lane.ts';
import { GATEWAY_DEFAULTS } from '../packages/server/src/gateway/gateway-options.ts';
import { settle } from '../packages/server/src/gateway/settlement.ts';
import { systemTimers } from '../packages/server/src/gateway/timers.ts';
import type { OnnxRuntime } from '../packages/server/src/runtimes/runtime.ts';

export interface HotPath {
  /** Chooses the arm for a subject and records a finished request, as the gateway does once per request. */
  readonly handle: (subject: string) => void;
  readonly close: () => Promise<void>;
}

const MODEL = 'digits';
const SIGNATURE = { inputs: [], outputs: [], prediction: 'label' } as const;
const SOURCE = { kind: 'onnx', sha256: '0'.repeat(64), bytes: 1, signature: SIGNATURE } as const;

// Half of the subjects on each arm, so that neither branch is predicted for free.
const SNAPSHOT: Snapshot = {
  schema: 1,
  environment: 'production',
  revision: 1,
  models: [
    {
      name: MODEL,
      champion: 'v1',
      rollout: { id: 'digits-1', challenger: 'v2', step: 0, boundary: 50_000, salt: 'digits-1' },
      isKilled: false,
      routing: DEFAULT_ROUTING,
      versions: [
        { version: 'v1', source: SOURCE },
        { version: 'v2', source: SOURCE },
      ],
    },
  ],
  tokens: [],
};

// Never run: routing and recording only look at whether a version is there.
const RUNTIME: OnnxRuntime = {
  kind: 'onnx',
  signature: SIGNATURE,
  placement: 'inline',
  measuredMs: 0,
  run: () => Promise.resolve({ outputs: [], ms: 0 }),
  close: () => Promise.resolve(),
};

export async function openHotPath(): Promise<HotPath> {
  const counters = openRequestCounters();
  const ids = openRequestIds(new Uint8Array(32).fill(7), 'benchmark');
  const recorder = openRecorder(
    { gateway: 'bench', boot: 'bench', flushEveryMs: 1000, state: () => ({ revision: 1, readiness: [], standing: undefined }) },
    { reports: () => Promise.resolve(), clock: systemClock, timers: systemTimers },
  );
  const trials = { lease: openLease(0), counts: newGatewayCounts(), log: () => {}, random: Math.random };
  const table = openRoutingTable({
    openRuntime: () => Promise.resolve(RUNTIME),
    timers: systemTimers,
    random: Math.random,
    makersFor: (environment) => ({
      environment,
      recorder,
      counters,
      ids,
      trials,
      shadows: openShadowLanes(GATEWAY_DEFAULTS),
    }),
  });
  const refusal = table.apply(SNAPSHOT);
  if (refusal !== undefined) throw new Error(`the snapshot of the benchmark was refused: ${refusal}`);
  await new Promise((resolve) => setImmediate(resolve));
  let count = 0;
  return {
    handle(subject) {
      const entry = entryFor(table, MODEL);
      const request = routedRequestOf({
        protocol: 'predict',
        rawHeaders: headersOf(subject),
        body: undefined,
        tokenId: undefined,
        random: Math.random,
      });
      const routed = decide(entry, undefined, request);
      count = (count + 1) % 1000;
      const nowMs = systemClock.nowMs();
      const decision = entry.trial?.review(routed, nowMs, true) ?? routed;
      const { seat } = decision;
      const outcome = outcomeOf(count);
      settle({ seat, isCold: seat.loaded.coldStart.begin(nowMs) }, outcome, 'counted');
      entry.trial?.ended(decision, outcome, nowMs);
      seat.mintId(nowMs);
    },
    async close() {
      await recorder.close();
      await table.close();
    },
  };
}

/** The subject where a client of ours sends it: behind four other headers. */
function headersOf(subject: string): readonly string[] {
  return [
    'host',
    '127.0.0.1',
    'content-type',
    'application/json',
    'authorization',
    'Bearer x',
    'accept',
    '*/*',
    'x-user-id',
    subject,
  ];
}

function outcomeOf(count: number): ArmOutcome {
  const predictions = { values: [count % 10], isClass: true };
  return { kind: 'answered', ms: 0.05 + count / 10_000, predictions, body: () => '' };
}
