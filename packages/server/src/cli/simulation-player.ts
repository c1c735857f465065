/** Plays rollouts in a process of its own: receives the orders, then job after job, and answers each with how its rollouts ended. Started by `simulation-pool.ts`. */
import { simulateMany } from '@understudy/core/simulation/simulate-many';
import type { Trial } from '@understudy/core/simulation/simulate-rollout';
import { type TrialOrder, trialOf } from './simulated-trial.ts';
import type { Job } from './simulation-pool.ts';

if (process.send === undefined) throw new Error('simulation-player.ts runs as a child process only');
const answer = process.send.bind(process);

process.once('message', main);

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

  process.on('message', ({ place, rollouts, firstSeed }: Job) => {
    answer(simulateMany(trialAt(place), rollouts, firstSeed));
  });
}
