// What ours must reach in the simulations, as rows.
import type { Scenario } from '@understudy/core/simulation/scenario';
import type { Row } from '../row.ts';
import { figureText } from '../table.ts';
import { BOTH_ARTICLES, KAYENTA_LIKE, MEAN_RULE, OURS, OURS_ALONE } from './contenders.ts';
import { type Played, type RiskLevel, RISKS } from './played.ts';
import { waldBound } from './wald-bound.ts';

/** How much slower than an earlier study of the method ours may be. */
const SLOWEST_RATIO = 1.15;

const MOST_FALSE_PROMOTIONS = 0.005;
/** A challenger exactly at the promote margin is promoted by right with the risks of all steps multiplied; this is far above. */
const AT_PROMOTE_MARGIN = 'errors-1-to-1.8';
const MOST_PROMOTIONS_AT_MARGIN = 0.01;

/** No test can reach Wald's bound without knowing both rates beforehand. */
const MOST_OF_BOUND = 1.6;
export const COMPARED_WITH_BOUND: readonly string[] = ['errors-1-to-2', 'errors-1-to-5'];

export const SAME_MEAN: readonly string[] = [
  'predictions-wider',
  'predictions-narrower',
  'predictions-two-humps',
  'predictions-stuck',
];
const LEAST_DRIFT_FOUND = 0.99;
const MOST_FOUND_BY_MEAN = 0.01;

export function verdictRows(scenarios: readonly Scenario[], played: Played): readonly Row[] {
  return [
    ...scenarios.filter(({ truth }) => truth === 'harmless').flatMap(({ name }) => falseRollbackRows(name, played)),
    ...scenarios.flatMap((scenario) => detectionRows(scenario, played)),
    ...scenarios.filter(({ truth }) => truth === 'harmful').flatMap(({ name }) => falsePromotionRows(name, played)),
    ...scenarios.filter(({ name }) => COMPARED_WITH_BOUND.includes(name)).flatMap((scenario) => boundRows(scenario, played)),
    ...scenarios.filter(({ name }) => SAME_MEAN.includes(name)).flatMap(({ name }) => driftRows(name, played)),
  ];
}

function falseRollbackRows(name: string, played: Played): readonly Row[] {
  return RISKS.flatMap((risk) => {
    const ours = risk.summaryOf(played, OURS, name);
    if (ours === undefined) return [];
    const value = (ours.rolledBack / ours.rollouts) * 100;
    const limit = risk.alpha * 100;
    return [
      {
        name: `false rollbacks, ${name}, ${risk.title}`,
        value,
        unit: '%',
        ...rivalRollbacks(name, played),
        bar: `<= ${limit} %`,
        holds: value <= limit,
      },
    ];
  });
}

function rivalRollbacks(name: string, played: Played): { readonly against?: string } {
  const texts = [BOTH_ARTICLES, KAYENTA_LIKE].flatMap((rival) => {
    const summary = played.summary(rival, name);
    return summary === undefined ? [] : [`${rival} ${figureText((summary.rolledBack / summary.rollouts) * 100)}`];
  });
  return texts.length === 0 ? {} : { against: texts.join(', ') };
}

function detectionRows({ name, reference }: Scenario, played: Played): readonly Row[] {
  if (reference === undefined) return [];
  const references = [reference.atFivePercent, reference.atOnePercent];
  return RISKS.flatMap((risk, index) => {
    const spread = risk.summaryOf(played, OURS, name)?.requestsToRollback;
    const [median, p95] = [references[index]?.median, references[index]?.p95];
    if (spread === undefined || median === undefined || p95 === undefined) return [];
    const base = `requests to rollback, ${name}, ${risk.title}`;
    return [
      atMost({ name: `${base}, median`, value: spread.median, reference: median }),
      atMost({ name: `${base}, p95`, value: spread.p95, reference: p95 }),
    ];
  });
}

function atMost({ name, value, reference }: { readonly name: string; readonly value: number; readonly reference: number }): Row {
  return {
    name,
    value,
    unit: 'requests',
    against: `study ${figureText(reference)}`,
    ratio: reference / value,
    bar: `<= ${SLOWEST_RATIO}x the study`,
    holds: value <= SLOWEST_RATIO * reference,
  };
}

function falsePromotionRows(name: string, played: Played): readonly Row[] {
  const most = name === AT_PROMOTE_MARGIN ? MOST_PROMOTIONS_AT_MARGIN : MOST_FALSE_PROMOTIONS;
  return RISKS.flatMap((risk) => {
    const ours = risk.summaryOf(played, OURS, name);
    if (ours === undefined) return [];
    const share = ours.promoted / ours.rollouts;
    return [
      {
        name: `false promotions, ${name}, ${risk.title}`,
        value: share * 100,
        unit: '%',
        bar: `<= ${most * 100} %`,
        holds: share <= most,
      },
    ];
  });
}

function boundRows({ name, champion, challenger }: Scenario, played: Played): readonly Row[] {
  return RISKS.flatMap((risk) =>
    boundRow(name, { risk, played, rates: [champion.errorRate, challenger.errorRate ?? champion.errorRate] }),
  );
}

interface BoundRequest {
  readonly risk: RiskLevel;
  readonly played: Played;
  readonly rates: readonly [champion: number, challenger: number];
}

function boundRow(name: string, { risk, played, rates: [champion, challenger] }: BoundRequest): readonly Row[] {
  const spread = risk.summaryOf(played, OURS_ALONE, name)?.requestsToRollback;
  if (spread === undefined) return [];
  const bound = waldBound({ champion, challenger, ratio: 1.1, plus: 0.001, share: 0.1 }, risk.alpha);
  return [
    {
      name: `mean requests to rollback, ${name}, errors alone, ${risk.title}`,
      value: spread.mean,
      unit: 'requests',
      against: `Wald's bound ${figureText(bound)}`,
      ratio: bound / spread.mean,
      bar: `<= ${MOST_OF_BOUND}x the bound`,
      holds: spread.mean <= MOST_OF_BOUND * bound,
    },
  ];
}

function driftRows(name: string, played: Played): readonly Row[] {
  const [ours, theirs] = [played.summary(OURS, name), played.summary(MEAN_RULE, name)];
  if (ours === undefined || theirs === undefined) return [];
  const [found, foundByMean] = [ours.rolledBack / ours.rollouts, theirs.rolledBack / theirs.rollouts];
  return [
    {
      name: `drift found, ${name}, risk 5 %`,
      value: found * 100,
      unit: '%',
      against: `${MEAN_RULE} ${figureText(foundByMean * 100)}`,
      bar: `>= ${LEAST_DRIFT_FOUND * 100} %, theirs <= ${MOST_FOUND_BY_MEAN * 100} %`,
      holds: found >= LEAST_DRIFT_FOUND && foundByMean <= MOST_FOUND_BY_MEAN,
    },
  ];
}
