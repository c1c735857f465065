/** Takes the reports of gateways, of this process and of others, into the store. Gateways send a report until it is taken. */
import type { GatewayReport } from '@understudy/contract/report';
import type { CommandContext } from '../commands/command.ts';

/** Stores a report; one that was stored before counts once. */
export type TakeReport = (report: GatewayReport) => Promise<void>;

export function openReportIntake({ store, environment, clock }: CommandContext): TakeReport {
  return async (report) => {
    const nowMs = clock.nowMs();
    // A block from the future would stay the newest for good.
    const blocks = report.blocks.map((block) => ({ ...block, startMs: Math.min(block.startMs, nowMs) }));
    await store.appendReport(environment, { ...report, blocks }, nowMs);
  };
}
