import type { GatewayReport } from '@understudy/contract/report';
import { EMPTY_TALLY, type EvidenceBlock, type Tally } from '@understudy/core/evidence';
import type { PolicyConfig } from '@understudy/core/plan';
import type { Judgement, Verdict } from '@understudy/core/policy';
import { BINS, drawTally } from '@understudy/core/sequential/test-traffic';
import { DEFAULT_SEQUENTIAL } from '@understudy/core/sequential/config';
import { randomOf } from '@understudy/core/simulation/random';
import { FLEET_START_MS, fleetPlan, fleetRollout } from '@understudy/core/test-fleet';
import { DEFAULT_THRESHOLDS } from '@understudy/core/thresholds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openReportIntake } from '../control/report-intake.ts';
import { openTestControl } from '../control/test-control.ts';
import { openEvidenceSeal } from './evidence-seal.ts';
import { openStoredLedger } from './rollout-ledger.ts';

fc.configureGlobal({ seed: 1 });

const STREAMS = 60 * Number(process.env['UNDERSTUDY_CRASH_FACTOR'] ?? 1);
const SECONDS = 24;
const RATE = 60;
const HOUR_MS = 3_600_000;
const END_MS = FLEET_START_MS + HOUR_MS;

const POLICIES: readonly { readonly policy: PolicyConfig }[] = [
  // Silence is another matter: here all evidence is asked about long after it came.
  { policy: { kind: 'sequential', ...DEFAULT_SEQUENTIAL, silenceMs: 2 * HOUR_MS } },
  { policy: { kind: 'thresholds', ...DEFAULT_THRESHOLDS, minSamples: 200, window: 2000, p99Ratio: 2 } },
];

const HOLDS: readonly Verdict[] = ['undecided', 'no-data', 'invalid', 'champion-sick'];

interface Sent {
  readonly report: GatewayReport;
  readonly atMs: number;
}

/** What gateways report of a rollout at equal shares, each second as soon as it is over. */
function reportsOf(
  seed: number,
  { gateways, errorRate }: { readonly gateways: number; readonly errorRate: number },
): readonly Sent[] {
  return Array.from({ length: gateways }, (_, number) => {
    const gateway = `gw-${number}`;
    const random = randomOf(seed, gateway);
    return Array.from({ length: SECONDS }, (__, sequence) => {
      const startMs = FLEET_START_MS + sequence * 1000;
      const half = RATE / 2;
      const blockOf = (arm: 'champion' | 'challenger', tally: Tally): EvidenceBlock => {
        const version = arm === 'champion' ? 'v1' : 'v2';
        return { model: 'fraud', version, arm, rollout: 'fraud-1', step: 1, startMs, tally };
      };
      const blocks = [
        blockOf('champion', drawTally(random, half)),
        blockOf('challenger', drawTally(random, half, { errorRate })),
      ];
      return { report: { gateway, boot: 'b', sequence, revision: 1, readiness: [], blocks }, atMs: startMs + 1050 };
    });
  }).flat();
}

/** How the network, and gateways that report again, treat one report. */
interface Fate {
  readonly delaysMs: readonly number[];
  /** Sent in two reports under two sequences: one for each arm. */
  readonly isSplit: boolean;
}

const fate: fc.Arbitrary<Fate> = fc.record({
  delaysMs: fc.oneof(
    fc.constant([0]),
    // More than one: it is sent again.
    fc.array(fc.nat(8000), { minLength: 1, maxLength: 3 }),
  ),
  isSplit: fc.boolean(),
});

function treated(sent: readonly Sent[], fates: readonly Fate[]): readonly Sent[] {
  return sent
    .flatMap(({ report, atMs }, index) => {
      const { delaysMs = [0], isSplit = false } = fates[index % fates.length] ?? {};
      const parts = isSplit
        ? report.blocks.map((block, place) => ({ ...report, sequence: 2 * report.sequence + place, blocks: [block] }))
        : [{ ...report, sequence: 2 * report.sequence }];
      return parts.flatMap((part) => delaysMs.map((delayMs) => ({ report: part, atMs: atMs + delayMs })));
    })
    .toSorted((a, b) => a.atMs - b.atMs);
}

/** Through the intake and the store, into the ledger of the engine. */
async function judged(sent: readonly Sent[], policy: PolicyConfig) {
  await using control = await openTestControl();
  const context = { ...control.context, clock: control.clock };
  const take = openReportIntake(context);
  for (const { report, atMs } of sent) {
    control.clock.nowMs = () => atMs;
    await take(report);
  }
  control.clock.nowMs = () => END_MS;
  const plan = fleetPlan(policy);
  const rollout = { ...fleetRollout(plan), bins: BINS, state: { phase: 'stepping', step: 1, sinceMs: FLEET_START_MS } as const };
  const ledger = openStoredLedger(context, openEvidenceSeal(context), rollout);
  await ledger.catchUp();
  const judgement: Judgement = ledger.judge(rollout).judgement;
  return { judgement, arms: ledger.arms(rollout).map(({ arm, requests, errors }) => ({ arm, requests, errors })) };
}

describe.each(POLICIES)('the evidence of many gateways, by the policy $policy.kind', ({ policy }) => {
  const worlds = fc.record({
    seed: fc.nat(1000),
    gateways: fc.integer({ min: 1, max: 7 }),
    errorRate: fc.constantFrom(0.01, 0.3),
  });

  it('comes to the same decision or a hold, however often, late and in whatever order and pieces it arrives', async () => {
    const decided = new Set<Verdict>();
    await fc.assert(
      fc.asyncProperty(worlds, fc.array(fate, { minLength: 1, maxLength: 40 }), async ({ seed, ...world }, fates) => {
        const sent = reportsOf(seed, world);
        const clean = await judged(treated(sent, [{ delaysMs: [0], isSplit: false }]), policy);
        const other = await judged(treated(sent, fates), policy);
        const right = world.errorRate > 0.01 ? 'harmful' : 'healthy';
        const { verdict } = clean.judgement;
        // Where the clean stream is not enough yet, seconds that are cut otherwise may be: then for the right decision.
        expect([HOLDS.includes(verdict) ? right : verdict, ...HOLDS]).toContain(other.judgement.verdict);
        // Nothing is counted twice, and nothing is lost.
        expect(other.arms).toEqual(clean.arms);
        decided.add(verdict);
      }),
      { numRuns: STREAMS },
    );
    // Otherwise nothing would have been compared.
    expect(decided).toContain('harmful');
    expect(decided).toContain('healthy');
  }, 600_000);

  it('is never enough to advance when there is none', async () => {
    const sent = reportsOf(1, { gateways: 4, errorRate: 0.01 });
    const empty = sent.map(({ report, atMs }) => ({
      report: { ...report, blocks: report.blocks.map((block) => ({ ...block, tally: EMPTY_TALLY })) },
      atMs,
    }));
    for (const reports of [[], empty]) expect(HOLDS).toContain((await judged(reports, policy)).judgement.verdict);
  });
});
