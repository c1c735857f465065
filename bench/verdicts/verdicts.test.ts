import { scenarioNamed, SCENARIOS } from '@understudy/core/simulation/scenarios';
import type { Moment, SimulatedRollout } from '@understudy/core/simulation/simulate-rollout';
import { describe, expect, it } from 'vitest';
import { isPassing, type Row } from '../row.ts';
import { CONTENDERS, MEAN_RULE, OURS, OURS_ALONE, RIVALS } from './contenders.ts';
import { type Played, playedOf } from './played.ts';
import { playAll, type TrialSeries } from './trial-pool.ts';
import { COMPARED_WITH_BOUND, SAME_MEAN, verdictRows } from './verdict-rows.ts';
import { verdictTable } from './verdict-table.ts';
import { waldBound } from './wald-bound.ts';

const moment: Moment = { atMs: 60_000, step: 0, challengerRequests: 100, requestsSinceOnset: 100 };
const ended = (end: SimulatedRollout['end'], requestsSinceOnset = 100, crossing?: number): SimulatedRollout => ({
  ...moment,
  requestsSinceOnset,
  end,
  crossings: [crossing === undefined ? undefined : { ...moment, requestsSinceOnset: crossing }],
});

function scenariosNamed(...names: readonly string[]) {
  return SCENARIOS.filter(({ name }) => names.includes(name));
}

function rowsOf(
  name: string,
  ours: readonly SimulatedRollout[],
  others: Readonly<Record<string, readonly SimulatedRollout[]>> = {},
) {
  return verdictRows(scenariosNamed(name), playedWith(name, { [OURS]: ours, ...others }));
}

function playedWith(scenario: string, results: Readonly<Record<string, readonly SimulatedRollout[]>>): Played {
  const series: readonly TrialSeries[] = Object.keys(results).map((contender) => ({ contender, scenario }));
  return playedOf(series, Object.values(results));
}

const named = (rows: readonly Row[], name: string): Row | undefined => rows.find((row) => row.name.startsWith(name));

describe('waldBound', () => {
  // The bounds of the study, in challenger requests at a share of 10 %.
  it.each([
    { challenger: 0.02, alpha: 0.05, bound: 1512 },
    { challenger: 0.02, alpha: 0.01, bound: 2324 },
    { challenger: 0.05, alpha: 0.05, bound: 105 },
    { challenger: 0.05, alpha: 0.01, bound: 162 },
    { challenger: 0.2, alpha: 0.05, bound: 10 },
    { challenger: 1, alpha: 0.05, bound: 1 },
  ])('of 1 % against $challenger at $alpha is $bound', ({ challenger, alpha, bound }) => {
    expect(Math.round(waldBound({ champion: 0.01, challenger, ratio: 1.1, plus: 0.001, share: 0.1 }, alpha))).toBe(bound);
  });
});

describe('verdictRows', () => {
  it('counts a false rollback at the risk at which it happened', () => {
    const ours = [
      ...Array.from({ length: 98 }, () => ended('promoted')),
      ended('promoted', 100, 50),
      ended('rolled-back', 100, 50),
    ];
    const rows = rowsOf('aa-lognormal', ours, { 'Kayenta-like': [ended('rolled-back'), ended('held')] });
    expect(named(rows, 'false rollbacks, aa-lognormal, risk 5 %')).toMatchObject({
      value: 2,
      bar: '<= 5 %',
      holds: true,
      against: 'Kayenta-like 50',
    });
    expect(named(rows, 'false rollbacks, aa-lognormal, risk 1 %')).toMatchObject({ value: 1, bar: '<= 1 %', holds: true });
  });

  it.each([
    { requests: 213, holds: true },
    { requests: 214, holds: false },
  ])('allows 1.15 times the study: $requests requests for 186 is $holds', ({ requests, holds }) => {
    const rows = rowsOf('errors-1-to-5', [ended('rolled-back', 260, requests)]);
    expect(named(rows, 'requests to rollback, errors-1-to-5, risk 5 %, median')).toMatchObject({ value: requests, holds });
  });

  it.each([
    { name: 'errors-1-to-2', promoted: 1, holds: true },
    { name: 'errors-1-to-2', promoted: 2, holds: false },
    { name: 'errors-1-to-1.8', promoted: 2, holds: true },
    { name: 'errors-1-to-1.8', promoted: 3, holds: false },
  ])('judges $promoted false promotions of 200 in $name', ({ name, promoted, holds }) => {
    const rows = rowsOf(
      name,
      Array.from({ length: 200 }, (_, index) => ended(index < promoted ? 'promoted' : 'rolled-back')),
    );
    expect(named(rows, 'false promotions')?.holds).toBe(holds);
  });

  it('compares the mean of one metric with the bound', () => {
    const rows = rowsOf('errors-1-to-5', [ended('rolled-back')], {
      [OURS_ALONE]: [ended('rolled-back', 259, 150), ended('rolled-back', 260, 190)],
    });
    expect(named(rows, 'mean requests to rollback, errors-1-to-5, errors alone, risk 5 %')).toMatchObject({
      value: 170,
      holds: false,
    });
    expect(named(rows, 'mean requests to rollback, errors-1-to-5, errors alone, risk 1 %')).toMatchObject({
      value: 259.5,
      holds: false,
    });
  });

  it('asks of drift with the same mean that ours finds it and the mean rule does not', () => {
    const found = [ended('rolled-back')];
    const missed = [ended('promoted')];
    expect(named(rowsOf('predictions-stuck', found, { [MEAN_RULE]: missed }), 'drift found')?.holds).toBe(true);
    expect(named(rowsOf('predictions-stuck', missed, { [MEAN_RULE]: missed }), 'drift found')?.holds).toBe(false);
    expect(named(rowsOf('predictions-stuck', found, { [MEAN_RULE]: found }), 'drift found')?.holds).toBe(false);
  });

  it('has no row of ours when only rivals were played', () => {
    const rows = verdictRows(SCENARIOS, playedWith('aa-lognormal', { 'Kayenta-like': [ended('held')] }));
    expect({ rows, isPassing: isPassing(rows) }).toEqual({ rows: [], isPassing: true });
  });

  it('knows the scenarios that it treats apart', () => {
    for (const name of [...COMPARED_WITH_BOUND, ...SAME_MEAN, 'errors-1-to-1.8'])
      expect(scenarioNamed(name)?.truth).toBe('harmful');
  });
});

it('shows a line for each scenario and a column for each contender', () => {
  const table = verdictTable(
    scenariosNamed('errors-1-to-5'),
    playedWith('errors-1-to-5', { [OURS]: [ended('rolled-back', 40, 30), ended('held')] }),
  );
  const [head, , line] = table.split('\n');
  for (const rival of RIVALS) expect(head).toContain(rival);
  expect(line).toContain('| 50.0 % / 0 %');
  expect(line).toContain('| 30 / 30');
  expect(line).toContain('| 40 / 40');
});

it('plays on all cores what one would have played, in the order of the seeds', async () => {
  const series = [
    { contender: 'staircase article', scenario: 'aa-cold-start' },
    { contender: OURS, scenario: 'errors-1-to-100' },
  ];
  const request = { series, rollouts: 3, log: () => undefined };
  const results = await playAll(request);
  expect(results).toEqual(await playAll(request));
  expect(results.map((rollouts) => rollouts.map(({ end }) => end))).toEqual([
    ['rolled-back', 'rolled-back', 'rolled-back'],
    ['rolled-back', 'rolled-back', 'rolled-back'],
  ]);
});

it('has a contender under every name that is used', () => {
  expect([...CONTENDERS.keys()].toSorted()).toEqual([OURS, OURS_ALONE, MEAN_RULE, ...RIVALS].toSorted());
});
