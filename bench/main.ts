// The command `npm run bench -- NAME`: runs one suite, shows its rows, and fails when a bar does not hold.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { scenarioNamed, SCENARIOS } from '@understudy/core/simulation/scenarios';
import { runFlagsSuite } from './flags-suite.ts';
import { runGatewaySuite } from './gateway-suite.ts';
import { MissingDependency } from './harness/missing-dependency.ts';
import { killAllProcesses, stopAllProcesses } from './harness/running-process.ts';
import { machineLine } from './machine.ts';
import { isPassing, rowJsonOf } from './row.ts';
import type { Suite } from './suite.ts';
import { runSafetySuite } from './safety-suite.ts';
import { runScaleSuite } from './scale-suite.ts';
import { tableOf } from './table.ts';
import { runVerdictsSuite } from './verdicts-suite.ts';

const SUITES: ReadonlyMap<string, Suite> = new Map([
  ['gateway', runGatewaySuite],
  ['verdicts', runVerdictsSuite],
  ['flags', runFlagsSuite],
  ['safety', runSafetySuite],
  ['scale', runScaleSuite],
]);

const USAGE = `usage: npm run bench -- NAME [options]

suites: ${[...SUITES.keys()].join(', ')}

  --json FILE        also write the rows as JSON
  --only rivals      measure the rivals without ours
  --rounds N         gateway, safety, scale: measured rounds for each server, 1 to 9 (default 3)
  --seconds N        gateway, safety: seconds for each round, 1 to 30 (default 4)
  --rollouts N       verdicts: simulated rollouts for each contender and scenario, 1 to 100000 (default 2000)
  --scenarios A,B    verdicts: only these scenarios

exit code: 0 every bar holds, 1 a bar does not hold or the suite failed, 2 wrong usage or a missing dependency`;

class UsageError extends Error {
  override readonly name = 'UsageError';
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void stopAllProcesses().finally(() => process.exit(1));
  });
}
process.once('exit', killAllProcesses);
process.exitCode = await run(process.argv.slice(2));

async function run(args: readonly string[]): Promise<number> {
  try {
    const { suite, jsonFile, ...options } = readCommand(args);
    console.log(machineLine());
    const rows = await suite({ ...options, log: (message) => console.error(message), print: (text) => console.log(text) });
    console.log(tableOf(rows));
    if (jsonFile !== undefined) await writeFile(jsonFile, `${JSON.stringify({ rows: rows.map(rowJsonOf) }, null, 2)}\n`);
    return isPassing(rows) ? 0 : 1;
  } catch (error) {
    if (error instanceof UsageError) console.error(`${error.message}\n\n${USAGE}`);
    else if (error instanceof MissingDependency) console.error(error.message);
    else console.error(error);
    return error instanceof UsageError || error instanceof MissingDependency ? 2 : 1;
  } finally {
    await stopAllProcesses();
  }
}

interface Command {
  readonly suite: Suite;
  readonly jsonFile: string | undefined;
  readonly isRivalsOnly: boolean;
  readonly rounds: number;
  readonly secondsPerRound: number;
  readonly rollouts: number;
  readonly scenarios: readonly string[];
}

function readCommand(args: readonly string[]): Command {
  const { values, positionals } = parsedArgs(args);
  const [name, ...extra] = positionals;
  if (name === undefined || extra.length > 0) throw new UsageError('name one suite');
  const suite = SUITES.get(name);
  if (suite === undefined) throw new UsageError(`there is no suite "${name}"`);
  if (values.only !== undefined && values.only !== 'rivals') throw new UsageError(`--only takes "rivals", not "${values.only}"`);
  return {
    suite,
    jsonFile: values.json,
    isRivalsOnly: values.only === 'rivals',
    rounds: integerIn('--rounds', values.rounds, 9),
    secondsPerRound: integerIn('--seconds', values.seconds, 30),
    rollouts: integerIn('--rollouts', values.rollouts, 100_000),
    scenarios: values.scenarios === undefined ? [] : values.scenarios.split(',').map(knownScenario),
  };
}

function parsedArgs(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'string' },
        only: { type: 'string' },
        rounds: { type: 'string', default: '3' },
        seconds: { type: 'string', default: '4' },
        rollouts: { type: 'string', default: '2000' },
        scenarios: { type: 'string' },
      },
    });
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function integerIn(option: string, text: string, maximum: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= maximum) return value;
  throw new UsageError(`${option} takes a whole number from 1 to ${maximum}, not "${text}"`);
}

function knownScenario(name: string): string {
  if (scenarioNamed(name) !== undefined) return name;
  throw new UsageError(`there is no scenario "${name}"; there are ${SCENARIOS.map((each) => each.name).join(', ')}`);
}
