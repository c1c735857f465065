/** Writes into the journal what was killed on a gateway's own machine. It is in force there already; this makes it known. */
import type { Standing } from '@understudy/contract/report';
import type { GatewayKills, LocalKill } from '@understudy/core/local-kill';
import { type CommandContext, runCommand } from './command.ts';
import { create, hold, remove, replace } from './queries.ts';

/** Notes the kills that a gateway reports; changes nothing when they are known. */
export async function noteLocalKills(
  context: CommandContext,
  gateway: string,
  { kills }: Pick<Standing, 'kills'>,
): Promise<void> {
  await runCommand(context, { actor: `gateway:${gateway}` }, async () => {
    const held = await hold(context, 'gateway', gateway);
    const known = held?.body.kills ?? [];
    const added = kills.filter((kill) => !known.some((one) => isSame(one, kill)));
    const removed = known.filter((kill) => !kills.some(({ model }) => model === kill.model));
    if (added.length === 0 && removed.length === 0) return { nothing: receiptOf(gateway, 'nothing new') };
    const body: GatewayKills = { gateway, kills };
    const write =
      held === undefined
        ? create('gateway', gateway, body)
        : kills.length === 0
          ? remove('gateway', held)
          : replace('gateway', held, body);
    const reason = [
      ...added.map(({ model, by, reason: why }) => `"${model}" killed on this gateway by ${by}: ${why}`),
      ...removed.map(({ model }) => `"${model}" is not killed on this gateway any more`),
    ].join('; ');
    const action = added.length > 0 ? 'gateway.killed' : 'gateway.unkilled';
    return { commit: { writes: [write], action, reason: reason.slice(0, 4000) }, receipt: receiptOf(gateway, reason) };
  });
}

function isSame(left: LocalKill, right: LocalKill): boolean {
  return left.model === right.model && left.atMs === right.atMs;
}

function receiptOf(gateway: string, message: string) {
  return { outcome: 'done', message, id: gateway } as const;
}
