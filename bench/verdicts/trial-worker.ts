// Plays rollouts in a thread of its own: receives what to play, answers with how each ended.
import { parentPort } from 'node:worker_threads';
import { type PreparedScenario, prepareScenario } from '@understudy/core/simulation/prepared-scenario';
import { scenarioNamed } from '@understudy/core/simulation/scenarios';
import { simulateMany } from '@understudy/core/simulation/simulate-many';
import { CONTENDERS } from './contenders.ts';
import type { TrialJob } from './trial-pool.ts';

const prepared = new Map<string, PreparedScenario>();

parentPort?.on('message', ({ contender, scenario, rollouts, firstSeed }: TrialJob) => {
  const chosen = CONTENDERS.get(contender);
  if (chosen === undefined) throw new Error(`there is no contender "${contender}"`);
  parentPort?.postMessage(simulateMany({ ...chosen, prepared: preparedNamed(scenario) }, rollouts, firstSeed));
});

function preparedNamed(name: string): PreparedScenario {
  const scenario = scenarioNamed(name);
  if (scenario === undefined) throw new Error(`there is no scenario "${name}"`);
  const made = prepared.get(name) ?? prepareScenario(scenario);
  prepared.set(name, made);
  return made;
}
