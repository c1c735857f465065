/** Readings of guards: a table where there is room, lines below each other where there is not or where every number is wanted. */
import type { GuardReading, Interval, Verdict } from '@understudy/core/policy';
import { type Fact, type FactOptions, renderFacts } from './facts.ts';
import type { Palette } from './palette.ts';
import { countWords, guardValue } from './rollout-words.ts';
import { renderTable } from './table.ts';
import { displayWidth, wrap } from './terminal-text.ts';

const SIGNS: Readonly<Record<Verdict, string>> = {
  healthy: '✔',
  harmful: '✖',
  undecided: '…',
  'no-data': '…',
  'champion-sick': '!',
  invalid: '!',
};
const BAR = 10;

export interface GuardOptions extends FactOptions {
  /** Adds every number there is, and each guard's sentence. */
  readonly withReasons: boolean;
}

export function renderGuards(guards: readonly GuardReading[], options: GuardOptions): string {
  if (guards.length === 0) return '';
  if (options.withReasons) return guards.map((guard) => explained(guard, options)).join('\n');
  const table = renderTable(...tableOf(guards, options.palette), { palette: options.palette, empty: '' });
  const isRoomy = table.split('\n').every((line) => displayWidth(line) <= options.width);
  return isRoomy ? table : guards.map((guard) => stacked(guard, options)).join('\n');
}

type Cells = readonly string[];

/** Where guards weigh evidence, how much of it there is says more than the word of the verdict, which the sign stands for. */
function tableOf(guards: readonly GuardReading[], palette: Palette): readonly [head: Cells, rows: readonly Cells[]] {
  const hasProgress = guards.some(({ progress }) => progress !== undefined);
  const last = hasProgress ? ['harm', 'safety', 'samples'] : ['samples', 'verdict'];
  const lastCells = ({ progress, samples, verdict }: GuardReading): Cells =>
    hasProgress
      ? [progressWords(progress?.harm), progressWords(progress?.safety), countWords(samples)]
      : [countWords(samples), verdict];
  const rows = guards.map((guard) => [
    `${signOf(guard.verdict, palette)} ${guard.guard}`,
    guardValue(guard.champion, guard.unit),
    guardValue(guard.challenger, guard.unit),
    guardValue(guard.limit, guard.unit),
    ...lastCells(guard),
  ]);
  return [['guard', 'champion', 'challenger', 'limit', ...last], rows];
}

/** The verdict's sign, coloured; the word beside it says the same. */
function signOf(verdict: Verdict, palette: Palette): string {
  if (verdict === 'healthy') return palette.green(SIGNS[verdict]);
  if (verdict === 'harmful' || verdict === 'invalid') return palette.red(SIGNS[verdict]);
  return palette.yellow(SIGNS[verdict]);
}

function stacked(guard: GuardReading, options: GuardOptions): string {
  const { champion, challenger, limit, progress, unit, samples } = guard;
  const values = [
    champion === undefined ? [] : [`champion ${guardValue(champion, unit)}`],
    challenger === undefined ? [] : [`challenger ${guardValue(challenger, unit)}`],
    limit === undefined ? [] : [`limit ${guardValue(limit, unit)}`],
    progress === undefined ? [] : [`harm ${progressWords(progress.harm)}`, `safety ${progressWords(progress.safety)}`],
    `${countWords(samples)} samples`,
  ].flat();
  const sentences = options.withReasons ? [values.join(', '), guard.reason] : [values.join(', ')];
  return titled(
    guard,
    sentences.flatMap((sentence) => wrap(sentence, options.width - 2)),
    options,
  );
}

/** Every number on a line of its own; guards that only compare have few, and need no more than two lines. */
function explained(guard: GuardReading, options: GuardOptions): string {
  const { champion, challenger, limit, margin, intervals, progress, unit, samples, reason } = guard;
  if (intervals === undefined && progress === undefined) return stacked(guard, options);
  const facts: readonly Fact[] = [
    ['champion', estimateWords(champion, intervals?.champion, unit)],
    ['challenger', estimateWords(challenger, intervals?.challenger, unit)],
    ['limit', limit === undefined ? undefined : `${guardValue(limit, unit)}, harm lies beyond`],
    ['margin', margin === undefined ? undefined : `${guardValue(margin, unit)}, to be proven within`],
    ['samples', countWords(samples)],
    ['harm', barWords(progress?.harm)],
    ['safety', barWords(progress?.safety)],
    ['reason', reason],
  ];
  return titled(guard, renderFacts(facts, { ...options, width: options.width - 2 }).split('\n'), options);
}

function titled({ guard, verdict }: GuardReading, lines: readonly string[], { palette }: GuardOptions): string {
  return [`${signOf(verdict, palette)} ${guard} ${palette.bold(verdict)}`, ...lines.map((line) => `  ${line}`)].join('\n');
}

/** `1.90 % (95 %: 1.20 % to 2.81 %)` */
function estimateWords(
  value: number | undefined,
  interval: Interval | undefined,
  unit: GuardReading['unit'],
): string | undefined {
  if (value === undefined || interval === undefined) return value === undefined ? undefined : guardValue(value, unit);
  const [low, high] = interval.map((end) => guardValue(end, unit));
  return `${guardValue(value, unit)} (95 %: ${low} to ${high})`;
}

/** Rounded down: only what is complete is 100 %. */
function progressWords(share: number | undefined): string {
  return share === undefined ? '-' : `${Math.floor(share * 100)} %`;
}

function barWords(share: number | undefined): string | undefined {
  if (share === undefined) return undefined;
  const filled = Math.floor(share * BAR);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)} ${progressWords(share)}`;
}
