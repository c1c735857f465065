// The table of all scenarios and all contenders, for the terminal and for the README.
import type { Scenario } from '@understudy/core/simulation/scenario';
import type { Summary } from '@understudy/core/simulation/simulate-many';
import { BOTH_ARTICLES, KAYENTA_LIKE, OURS, RIVALS } from './contenders.ts';
import { type Played, RISKS } from './played.ts';

interface Column {
  readonly heading: string;
  readonly cellOf: (played: Played, scenario: string) => string;
}

const COLUMNS: readonly Column[] = [
  ...RIVALS.map((rival) => ({
    heading: rival,
    cellOf: (played: Played, scenario: string) => endsText(played.summary(rival, scenario)),
  })),
  ...RISKS.map((risk) => ({
    heading: `ours, ${risk.title}`,
    cellOf: (played: Played, scenario: string) => endsText(risk.summaryOf(played, OURS, scenario)),
  })),
  ...[BOTH_ARTICLES, KAYENTA_LIKE].map((rival) => ({
    heading: `n ${rival}`,
    cellOf: (played: Played, scenario: string) => requestsText(played.summary(rival, scenario)),
  })),
  ...RISKS.map((risk) => ({
    heading: `n ours, ${risk.title}`,
    cellOf: (played: Played, scenario: string) => requestsText(risk.summaryOf(played, OURS, scenario)),
  })),
  { heading: 'minutes, ours', cellOf: (played, scenario) => minutesText(played.summary(OURS, scenario)) },
];

/** Markdown. Rolled back / promoted, the rest was held; `n` is challenger requests to the rollback, median / 95th percentile. */
export function verdictTable(scenarios: readonly Scenario[], played: Played): string {
  const lines = [
    ['scenario', 'truth', ...COLUMNS.map(({ heading }) => heading)],
    ...scenarios.map(({ name, truth }) => [name, truth, ...COLUMNS.map(({ cellOf }) => cellOf(played, name))]),
  ];
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  const [head, ...rows] = lines.map(
    (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [head, rule, ...rows].join('\n');
}

function endsText(summary: Summary | undefined): string {
  if (summary === undefined) return '';
  return `${shareText(summary.rolledBack, summary.rollouts)} / ${shareText(summary.promoted, summary.rollouts)}`;
}

function requestsText(summary: Summary | undefined): string {
  const spread = summary?.requestsToRollback;
  return spread === undefined ? '-' : `${spread.median} / ${spread.p95}`;
}

function minutesText(summary: Summary | undefined): string {
  const spread = summary?.minutesToPromotion;
  return spread === undefined ? '-' : `${spread.median.toFixed(0)} / ${spread.p95.toFixed(0)}`;
}

/** Two digits below 1 %, one above; all and none without any. */
function shareText(count: number, of: number): string {
  const percent = (count / of) * 100;
  if (count === 0 || count === of) return `${percent} %`;
  return `${percent.toFixed(percent < 1 || percent > 99 ? 2 : 1)} %`;
}
