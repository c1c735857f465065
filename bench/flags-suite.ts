// The suite `flags`: evaluations a second of our evaluator beside those of the systems whose flags it reads, and a thousand streaming clients.
import type { FlagFamily } from './flag-case.ts';
import { type FlagContest, openFlagContest } from './rivals/flag-evaluators.ts';
import type { LoopResult } from './rivals/flag-evaluators/loop.ts';
import type { Row } from './row.ts';
import { streamingRows } from './streaming-rows.ts';
import { medianOf } from './statistics.ts';
import type { SuiteOptions } from './suite.ts';
import { figureText } from './table.ts';

interface Rival {
  readonly family: FlagFamily;
  readonly name: string;
  /** How many times as fast we promise to be, with the same hash. */
  readonly minimumRatio: number;
}

const RIVALS: readonly Rival[] = [
  { family: 'unleash', name: 'unleash-client', minimumRatio: 3 },
  { family: 'launchdarkly', name: 'LaunchDarkly node-server-sdk', minimumRatio: 2 },
  { family: 'flagsmith', name: 'flagsmith-nodejs', minimumRatio: 10 },
  { family: 'flagd', name: 'flagd-core', minimumRatio: 1 },
];

const UNIT = 'evaluations/s';
const LEAST_NATIVE = 2_000_000;

export async function runFlagsSuite(options: SuiteOptions): Promise<readonly Row[]> {
  const contest = await openFlagContest();
  const results: Result[] = [];
  for (const rival of RIVALS) {
    options.log(`${rival.name}: ${options.rounds} rounds of ${options.secondsPerRound} s`);
    results.push(await measure(rival, contest, options));
  }
  if (options.isRivalsOnly) {
    options.log('only the rivals were measured: nothing of ours is in the table');
    return results.map(({ rival, theirs }) => ({ name: rival.name, value: medianOf(theirs.evaluationsPerSecond), unit: UNIT }));
  }
  const native = results.find(({ rival }) => rival.family === 'unleash');
  const nativeRate = medianOf(native?.ours?.evaluationsPerSecond ?? []);
  return [
    { name: 'own hash', value: nativeRate, unit: UNIT, bar: `>= ${LEAST_NATIVE / 1e6} M/s`, holds: nativeRate >= LEAST_NATIVE },
    ...results.map(comparison),
    disagreements(results),
    ...(await streamingRows(options.log)),
  ];
}

interface Result {
  readonly rival: Rival;
  readonly theirs: LoopResult;
  readonly ours: LoopResult | undefined;
}

async function measure(rival: Rival, contest: FlagContest, options: SuiteOptions): Promise<Result> {
  const ours = options.isRivalsOnly ? undefined : await contest.ours(rival.family, options);
  return { rival, ours, theirs: await contest.rival(rival.family, options) };
}

function comparison({ rival, ours, theirs }: Result): Row {
  const value = medianOf(ours?.evaluationsPerSecond ?? []);
  const rivalValue = medianOf(theirs.evaluationsPerSecond);
  const ratio = value / rivalValue;
  return {
    name: `hash of ${rival.family}`,
    value,
    unit: UNIT,
    against: `${rival.name} ${figureText(rivalValue)}`,
    ratio,
    bar: `>= ${rival.minimumRatio}x`,
    holds: ratio >= rival.minimumRatio,
  };
}

/** Users for whom a rival, asked about the flag that we wrote for it, has another variant than we have. */
function disagreements(results: readonly Result[]): Row {
  const value = results.reduce((sum, { ours, theirs }) => {
    return sum + theirs.variants.filter((variant, index) => variant !== ours?.variants[index]).length;
  }, 0);
  return { name: 'users with another variant, all rivals', value, unit: 'users', bar: '= 0', holds: value === 0 };
}
