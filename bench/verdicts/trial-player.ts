// Plays rollouts in a process of its own: receives what to play, answers with how each ended.
import { type PreparedScenario, prepareScenario } from '@understudy/core/simulation/prepared-scenario';
import { scenarioNamed } from '@understudy/core/simulation/scenarios';
import { simulateMany } from '@understudy/core/simulation/simulate-many';
import { CONTENDERS } from './contenders.ts';
import type { TrialJob } from './trial-pool.ts';

const prepared = new Map<string, PreparedScenario>();

process.on('message', ({ contender, scenario, rollouts, firstSeed }: TrialJob) => {
  const chosen = CONTENDERS.get(contender);
  if (chosen === undefined) throw new Error(`there is no contender "${contender}"`);
  process.send?.(simulateMany({ ...chosen, prepared: preparedNamed(scenario) }, rollouts, firstSeed));
});

function preparedNamed(name: string): PreparedScenario {
  const scenario = scenarioNamed(name);
  if (scenario === undefined) throw new Error(`there is no scenario "${name}"`);
  const made = prepared.get(name) ?? prepareScenario(scenario);
  prepared.set(name, made);
  return made;
}
