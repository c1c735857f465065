/** Readings of guards: a table where there is room, two lines each where there is not. */
import type { GuardReading, Verdict } from '@understudy/core/policy';
import type { FactOptions } from './facts.ts';
import type { Palette } from './palette.ts';
import { countWords, guardValue } from './rollout-words.ts';
import { renderTable } from './table.ts';
import { wrap } from './terminal-text.ts';

const SIGNS: Readonly<Record<Verdict, string>> = {
  healthy: '✔',
  harmful: '✖',
  undecided: '…',
  'no-data': '…',
  'champion-sick': '!',
  invalid: '!',
};
const ROOM_FOR_TABLE = 76;

export interface GuardOptions extends FactOptions {
  /** Adds each guard's sentence with the numbers. */
  readonly withReasons: boolean;
}

export function renderGuards(guards: readonly GuardReading[], options: GuardOptions): string {
  if (guards.length === 0) return '';
  const { width, palette, withReasons } = options;
  if (width < ROOM_FOR_TABLE || withReasons) return guards.map((guard) => stacked(guard, options)).join('\n');
  const rows = guards.map((guard) => [
    `${signOf(guard.verdict, palette)} ${guard.guard}`,
    guardValue(guard.champion, guard.unit),
    guardValue(guard.challenger, guard.unit),
    guardValue(guard.limit, guard.unit),
    countWords(guard.samples),
    guard.verdict,
  ]);
  return renderTable(['guard', 'champion', 'challenger', 'limit', 'samples', 'verdict'], rows, { palette, width, empty: '' });
}

/** The verdict's sign, coloured; the word beside it says the same. */
function signOf(verdict: Verdict, palette: Palette): string {
  if (verdict === 'healthy') return palette.green(SIGNS[verdict]);
  if (verdict === 'harmful' || verdict === 'invalid') return palette.red(SIGNS[verdict]);
  return palette.yellow(SIGNS[verdict]);
}

function stacked(guard: GuardReading, { width, palette, withReasons }: GuardOptions): string {
  const { champion, challenger, limit, unit, samples, verdict } = guard;
  const values = [
    champion === undefined ? [] : [`champion ${guardValue(champion, unit)}`],
    challenger === undefined ? [] : [`challenger ${guardValue(challenger, unit)}`],
    limit === undefined ? [] : [`limit ${guardValue(limit, unit)}`],
    `${countWords(samples)} samples`,
  ].flat();
  const sentences = withReasons ? [values.join(', '), guard.reason] : [values.join(', ')];
  const details = sentences.flatMap((sentence) => wrap(sentence, width - 2).map((line) => `  ${line}`));
  return [`${signOf(verdict, palette)} ${guard.guard} ${palette.bold(verdict)}`, ...details].join('\n');
}
