/** Plays rollouts in a thread of its own: receives what to play, answers with how each ended. Started by `simulation-pool.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { simulateMany } from '@understudy/core/simulation/simulate-many';
import type { Trial } from '@understudy/core/simulation/simulate-rollout';
import { type TrialOrder, trialOf } from './simulated-trial.ts';
import type { Job } from './simulation-pool.ts';

if (parentPort === null) throw new Error('simulation.child.ts runs in a worker thread only');
const port = parentPort;

main(workerData);

function main(orders: readonly TrialOrder[]): void {
  const trials = new Map<number, Trial>();

  function trialAt(place: number): Trial {
    const known = trials.get(place);
    if (known !== undefined) return known;
    const order = orders[place];
    if (order === undefined) throw new Error(`there is no order ${place}`);
    const trial = trialOf(order);
    trials.set(place, trial);
    return trial;
  }

  port.on('message', ({ place, rollouts, firstSeed }: Job) => {
    port.postMessage(simulateMany(trialAt(place), rollouts, firstSeed));
  });
}
