/** Gateways: they follow a snapshot, serve by it, and report what they saw; reports are late, doubled, out of order and lost. */
import { EMPTY_TALLY, type EvidenceBlock, type Tally } from '@understudy/core/evidence';
import { INTERVAL_MS } from '@understudy/core/evidence-pool';
import { bucketOfLatency } from '@understudy/core/histogram';
import type { Snapshot } from '@understudy/core/snapshot';
import type { GatewayReport, Readiness } from '@understudy/contract/report';
import { BASE_MS, type Plane } from './control-plane.ts';
import type { Dice } from './dice.ts';
import type { Faults } from './faults.ts';
import type { VirtualTime } from './virtual-time.ts';

export const MODEL = 'fraud';
export const VERSIONS = ['v1', 'v2'] as const;

export interface GatewayParts {
  readonly name: string;
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly faults: Faults;
  readonly planes: readonly Plane[];
  /** Of all requests to `v2`, how many fail. */
  readonly failingShare: number;
  /** Requests that one version gets from one gateway in a second, at most. */
  readonly mostRequests: number;
  readonly endMs: number;
}

export interface SimulatedGateway {
  readonly snapshot: () => Snapshot | undefined;
  /** Reports that a control plane said it has. */
  readonly acknowledged: readonly GatewayReport[];
}

const PATIENCE_MS = 1500;
// A gateway that cannot report keeps trying: what it has not told is lost only when it dies.
const PENDING_AT_ONCE = 4;

export function openGatewayOf(parts: GatewayParts): SimulatedGateway {
  const { name, time, dice, faults, planes, failingShare, mostRequests, endMs } = parts;
  let boot = 0;
  let sequence = 0;
  let snapshot: Snapshot | undefined;
  let pending = 0;
  const acknowledged: GatewayReport[] = [];

  function second(): void {
    if (time.nowMs() > endMs) return;
    time.after(INTERVAL_MS, second);
    // It restarts, and what it knew and had not told is gone.
    if (!faults.isHealed && dice.chance(0.02)) {
      boot += 1;
      sequence = 0;
      snapshot = undefined;
    }
    follow();
    if (snapshot === undefined || pending >= PENDING_AT_ONCE) return;
    const report = reportOf(snapshot);
    if (!faults.isHealed && dice.chance(0.05)) return;
    pending += 1;
    const delayMs = !faults.isHealed && dice.chance(0.1) ? dice.between(500, 4000) : dice.between(1, 50);
    time.after(delayMs, () => void deliver(report, boot));
    if (!faults.isHealed && dice.chance(0.1)) time.after(dice.between(1, 3000), () => void send(report, dice.pick(planes)));
  }

  /** The newest snapshot of any control plane that can be asked; an older one never replaces it. */
  function follow(): void {
    const found = dice.pick(planes).snapshot();
    if (found !== undefined && found.revision >= (snapshot?.revision ?? 0)) snapshot = found;
  }

  async function deliver(report: GatewayReport, born: number): Promise<void> {
    while (born === boot && time.nowMs() <= endMs) {
      if (await send(report, dice.pick(planes))) {
        acknowledged.push(report);
        break;
      }
      await time.sleep(dice.between(100, 1000));
    }
    pending -= 1;
  }

  /** @returns whether the control plane said that it has the report */
  function send(report: GatewayReport, plane: Plane): Promise<boolean> {
    return new Promise((resolve) => {
      time.after(PATIENCE_MS, () => resolve(false));
      plane
        .serve((_context, takeReport) => takeReport(report))
        .then(
          () => resolve(true),
          () => resolve(false),
        );
    });
  }

  function reportOf(known: Snapshot): GatewayReport {
    const model = known.models.find((one) => one.name === MODEL);
    const atMs = BASE_MS + time.nowMs();
    const startMs = (Math.floor(atMs / INTERVAL_MS) - 1) * INTERVAL_MS;
    const readiness = (model?.versions ?? []).map(({ version }): Readiness => ({
      model: MODEL,
      version,
      state: 'ready',
      detail: 'upstream',
    }));
    sequence += 1;
    const blocks =
      model?.champion === undefined ? [] : blocksOf(model.champion, model.isKilled ? undefined : model.rollout, startMs);
    return { gateway: name, boot: `boot-${boot}`, sequence, revision: known.revision, readiness, blocks };
  }

  function blocksOf(champion: string, rollout: Snapshot['models'][number]['rollout'], startMs: number): EvidenceBlock[] {
    const place = {
      model: MODEL,
      startMs,
      ...(rollout === undefined || rollout.step < 0 ? {} : { rollout: rollout.id, step: rollout.step }),
    };
    // As many on both arms: the plans that look at the split have steps of 50 %.
    const requests = dice.whole(Math.ceil(mostRequests / 3), mostRequests);
    const blocks: EvidenceBlock[] = [{ ...place, version: champion, arm: 'champion', tally: tallyOf(champion, requests) }];
    if (rollout !== undefined && rollout.boundary > 0) {
      blocks.push({ ...place, version: rollout.challenger, arm: 'challenger', tally: tallyOf(rollout.challenger, requests) });
    }
    return blocks;
  }

  function tallyOf(version: string, requests: number): Tally {
    const errors = version === 'v2' ? Math.round(requests * failingShare) : 0;
    return { ...EMPTY_TALLY, requests, errors, latency: [[LATENCY, requests]] };
  }

  time.after(dice.between(0, INTERVAL_MS), second);
  return { snapshot: () => snapshot, acknowledged };
}

const LATENCY = bucketOfLatency(20);
