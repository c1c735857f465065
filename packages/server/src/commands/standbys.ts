/** What gateways say of the versions that a rollback would need: the drill, and which of them a rollback passes over. */
import { drillRollback, type Drill } from '@understudy/core/rollback-drill';
import type { Model } from '@understudy/core/model';
import type { ModelVersion } from '@understudy/core/model-version';
import { passedOverNow, type VersionSighting } from '@understudy/core/standby';
import type { GatewayStatus } from '../storage/store.ts';
import { type CommandContext, runCommand } from './command.ts';
import { holdModel, holdVersions, replace, sameContent } from './queries.ts';
import { isConnected } from './readiness.ts';
import type { Receipt } from './receipt.ts';

/** What a look at the way back is made from. */
export interface WayBack {
  readonly model: Model;
  /** Every version of the model. */
  readonly versions: readonly ModelVersion[];
  readonly gateways: readonly GatewayStatus[];
  readonly atMs: number;
}

/** Whether a rollback would work now. Reads what is given and changes nothing. */
export function drill({ model, versions, gateways, atMs }: WayBack): Drill {
  const connected = gateways.filter((gateway) => isConnected(gateway, atMs));
  const names = connected.map(({ gateway }) => gateway);
  return drillRollback({ model, versions, gateways: names, sightings: sightingsOf(model, connected), atMs });
}

/**
 * Notes which former champions a rollback should pass over, when that has changed: every gateway fails with them.
 * @returns undefined when nothing was to be changed
 */
export async function noteStandbys(context: CommandContext, name: string): Promise<Receipt | undefined> {
  let isChanged = false;
  const receipt = await runCommand(context, { actor: 'engine' }, async (atMs) => {
    const model = await holdModel(context, name);
    const versions = (await holdVersions(context, name)).map(({ body }) => body);
    const connected = (await context.store.gateways(context.environment)).filter((gateway) => isConnected(gateway, atMs));
    const sightings = sightingsOf(model.body, connected);
    const passedOver = passedOverNow(model.body, versions, { sightings, gateways: connected.length, atMs });
    const { passedOver: before = [], ...rest } = model.body;
    isChanged = !sameContent(passedOver, before);
    const message =
      passedOver.length === 0
        ? `gateways can answer with every version that a rollback of "${name}" may go to`
        : `a rollback of "${name}" passes over ${passedOver.map(({ reason }) => reason).join('; ')}`;
    if (!isChanged) return { nothing: { outcome: 'already-done', message, id: name } };
    const next: Model = passedOver.length === 0 ? rest : { ...rest, passedOver };
    const reason = message.slice(0, 2000);
    return {
      commit: { writes: [replace('model', model, next)], action: 'model.standbys-noted', reason },
      receipt: { outcome: 'done', message, id: name },
    };
  });
  return isChanged ? receipt : undefined;
}

function sightingsOf({ name }: Model, connected: readonly GatewayStatus[]): readonly VersionSighting[] {
  return connected.flatMap(({ gateway, readiness }) =>
    readiness.flatMap(({ model, version, state, detail, probe }) =>
      model === name ? [{ gateway, version, state, detail, probe }] : [],
    ),
  );
}
