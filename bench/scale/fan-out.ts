// How fast one change reaches everybody who follows one control plane.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../row.ts';
import { medianOf, quantileOf } from '../statistics.ts';
import { monotonicMs } from '../streaming/messages.ts';
import type { SuiteOptions } from '../suite.ts';
import { startAsked } from './asked-child.ts';
import { startControlPlaneWith } from './control-plane.ts';
import type { Followed, FollowersRequest } from './followers.child.ts';

const CONNECTIONS = 5000;
const MODELS = 5;
const CHANGES_PER_ROUND = 6;
const MOST_MEDIAN_MS = 100;
const MOST_KILL_MS = 1000;
const REST_MS = 700;

/** Counted from before the kill command is sent, so that its commit is in it. */
export async function measureFanOut({ rounds, log }: SuiteOptions): Promise<readonly Row[]> {
  const plane = await startControlPlaneWith(MODELS);
  try {
    log(`${CONNECTIONS} connections follow the snapshot feed`);
    const argument: FollowersRequest = { origin: plane.origin, token: plane.gatewayToken, connections: CONNECTIONS };
    const followers = await startAsked<Followed>('followers', argument);
    await followers.first;
    const latencies: number[] = [];
    const medians: number[] = [];
    let closed = 0;
    for (let change = 0; change < rounds * CHANGES_PER_ROUND; change += 1) {
      const answer = followers.ask();
      await sleep(REST_MS);
      const beganMs = monotonicMs();
      const params = { model: 'model-0' };
      const body = { reason: 'benchmark' };
      await (change % 2 === 0 ? plane.admin('killModel', { params, body }) : plane.admin('unkillModel', { params, body }));
      const followed = await answer;
      closed = followed.closed;
      const took = followed.atMs.map((atMs) => atMs - beganMs);
      latencies.push(...took);
      medians.push(medianOf(took));
    }
    await followers.stop();
    const median = medianOf(medians);
    const p99 = quantileOf(latencies, 0.99);
    return [
      {
        name: `one change to ${CONNECTIONS} connections, median`,
        value: median,
        unit: 'ms',
        bar: `<= ${MOST_MEDIAN_MS} ms`,
        holds: median <= MOST_MEDIAN_MS,
      },
      {
        name: `kill switch to ${CONNECTIONS} connections, p99`,
        value: p99,
        unit: 'ms',
        bar: `<= ${MOST_KILL_MS} ms`,
        holds: p99 <= MOST_KILL_MS,
      },
      { name: 'connections lost meanwhile', value: closed, unit: 'connections', bar: '0', holds: closed === 0 },
    ];
  } finally {
    await plane.stop();
  }
}
