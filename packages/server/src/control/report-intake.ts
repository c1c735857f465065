/** Takes the reports of gateways, of this process and of others, into the store. Gateways send a report until it is taken. */
import type { GatewayReport, Standing } from '@understudy/contract/report';
import { AppError } from '@understudy/core/errors';
import { contradictionIn, mostRequestsIn } from '@understudy/core/possible-tally';
import type { CommandContext } from '../commands/command.ts';
import { noteLocalKills } from '../commands/gateway-kills.ts';

/**
 * Stores a report; one that was stored before counts once.
 * @throws AppError `request.invalid` for evidence that no gateway can have counted; nothing of the report is stored then
 */
export type TakeReport = (report: GatewayReport) => Promise<void>;

export function openReportIntake(context: CommandContext): TakeReport {
  const { store, environment, clock } = context;
  const noted = openNoted();
  return async (report) => {
    const nowMs = clock.nowMs();
    assertPossible(report, nowMs);
    const { gateway, standing } = report;
    // A block from the future would stay the newest for good. Whose it is, is not for the block to say.
    const blocks = report.blocks.map((block) => ({ ...block, startMs: Math.min(block.startMs, nowMs), gateway }));
    await store.appendReport(environment, { ...report, blocks }, nowMs);
    if (standing === undefined || noted.has(gateway, standing)) return;
    await noteLocalKills(context, gateway, standing);
    noted.add(gateway, standing);
  };
}

/** Kills that are known to be in the journal, by gateway: the store is asked once, and then when they change. */
function openNoted(): { has(gateway: string, standing: Standing): boolean; add(gateway: string, standing: Standing): void } {
  const texts = new Map<string, string>();
  const textOf = ({ kills }: Standing): string => JSON.stringify(kills);
  return {
    has: (gateway, standing) => texts.get(gateway) === textOf(standing),
    add(gateway, standing) {
      // Gateways come and go under new names; the store knows what this forgets.
      if (texts.size >= 10_000) texts.clear();
      texts.set(gateway, textOf(standing));
    },
  };
}

function assertPossible({ gateway, blocks }: GatewayReport, nowMs: number): void {
  let requests = 0;
  let fromMs = nowMs;
  for (const { model, version, arm, startMs, tally } of blocks) {
    const contradiction = contradictionIn(tally);
    if (contradiction !== undefined) {
      throw refused(gateway, `its counts of "${model}" ${version} as ${arm} contradict themselves: ${contradiction}`);
    }
    requests += tally.requests;
    fromMs = Math.min(fromMs, startMs);
  }
  const seconds = Math.ceil((nowMs - fromMs) / 1000);
  const most = mostRequestsIn(seconds);
  if (requests > most) {
    throw refused(gateway, `it brings ${requests} requests of ${seconds} s, and ${most} is more than a gateway can serve`);
  }
}

function refused(gateway: string, problem: string): AppError {
  const remedy = 'restart the gateway with the release of this control plane, or take its token away if it is not yours';
  return new AppError('request.invalid', `cannot take a report of gateway "${gateway}": ${problem}; ${remedy}`);
}
