/** Takes the reports of gateways, of this process and of others, into the store. Gateways send a report until it is taken. */
import type { GatewayReport, Standing } from '@understudy/contract/report';
import type { CommandContext } from '../commands/command.ts';
import { noteLocalKills } from '../commands/gateway-kills.ts';

/** Stores a report; one that was stored before counts once. */
export type TakeReport = (report: GatewayReport) => Promise<void>;

export function openReportIntake(context: CommandContext): TakeReport {
  const { store, environment, clock } = context;
  const noted = openNoted();
  return async (report) => {
    const nowMs = clock.nowMs();
    // A block from the future would stay the newest for good.
    const blocks = report.blocks.map((block) => ({ ...block, startMs: Math.min(block.startMs, nowMs) }));
    await store.appendReport(environment, { ...report, blocks }, nowMs);
    const { gateway, standing } = report;
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
