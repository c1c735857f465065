// What the summaries of a hundred gateways cost one control plane.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../row.ts';
import type { SuiteOptions } from '../suite.ts';
import { startAsked } from './asked-child.ts';
import { startControlPlaneWith } from './control-plane.ts';
import type { GatewaysRequest } from './gateways.child.ts';

const GATEWAYS = 100;
const MODELS = 5;
const MOST_SHARE = 0.2;
const WARM_UP_MS = 8000;
const SECONDS_PER_ROUND = 5;

interface Counted {
  readonly taken: number;
  readonly refused: number;
}

/** Everything that the process does meanwhile is counted: streams, store, engine and watches. */
export async function measureIngest({ rounds, log }: SuiteOptions): Promise<readonly Row[]> {
  const plane = await startControlPlaneWith(MODELS);
  try {
    log(`${GATEWAYS} gateways report on ${MODELS} models with a rollout each`);
    const { origin, models, gatewayToken: token } = plane;
    const argument: GatewaysRequest = { origin, token, gateways: GATEWAYS, models };
    const gateways = await startAsked<Counted>('gateways', argument);
    await sleep(WARM_UP_MS);
    const [before, cpuBefore, beganMs] = [await gateways.ask(), await plane.cpuMs(), performance.now()];
    await sleep(rounds * SECONDS_PER_ROUND * 1000);
    const [after, cpuAfter, endMs] = [await gateways.ask(), await plane.cpuMs(), performance.now()];
    await gateways.stop();
    const tookMs = endMs - beganMs;
    const share = (cpuAfter - cpuBefore) / tookMs;
    const perSecond = ((after.taken - before.taken) / tookMs) * 1000;
    const isWhole = perSecond >= GATEWAYS * 0.98 && after.refused === before.refused;
    return [
      {
        name: `CPU of the control plane with ${GATEWAYS} gateways`,
        value: share * 100,
        unit: '% of a core',
        bar: `<= ${MOST_SHARE * 100} %`,
        holds: share <= MOST_SHARE,
      },
      {
        name: 'reports taken',
        value: perSecond,
        unit: `a second, with ${2 * MODELS} blocks each`,
        bar: `all of ${GATEWAYS}`,
        holds: isWhole,
      },
    ];
  } finally {
    await plane.stop();
  }
}
