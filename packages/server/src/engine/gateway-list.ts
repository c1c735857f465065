/** The gateways as they are now; a thousand rollouts that are looked at in one round ask for all of them once. */
import type { CommandContext } from '../commands/command.ts';
import type { GatewayStatus } from '../storage/store.ts';

export interface GatewayList {
  now(): Promise<readonly GatewayStatus[]>;
  /** Does some work for which gateways are what they were at its beginning. */
  during(work: () => Promise<void>): Promise<void>;
}

export function openGatewayList({ store, environment }: Pick<CommandContext, 'store' | 'environment'>): GatewayList {
  let held: Promise<readonly GatewayStatus[]> | undefined;
  return {
    now: () => held ?? store.gateways(environment),
    async during(work) {
      held = store.gateways(environment);
      try {
        await held;
        await work();
      } finally {
        held = undefined;
      }
    },
  };
}
