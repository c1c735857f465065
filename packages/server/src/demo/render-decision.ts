/** A decision on the screen: what the engine did, why, and the numbers of every guard. The rollout's pages depend on it. */
import type { DecisionView } from '@understudy/contract/views';
import type { GuardReading } from '@understudy/core/policy';
import type { Action } from '@understudy/core/rollout';
import { guardNumber, secondsText } from './figures.ts';
import { keepTogether, padStart, paragraph } from './lines.ts';
import type { Palette } from './palette.ts';

const SIGNS: Readonly<Record<Action, string>> = { begin: '▸', hold: '·', advance: '▲', promote: '★', 'roll-back': '▼' };
const NAMES: Readonly<Record<string, string>> = {
  'latency.p50': 'p50',
  'latency.p99': 'p99',
  'health.p95-latency': 'p95',
  'health.errors': 'errors',
  'health.mean-drift': 'drift',
};
const UNITS: Readonly<Record<GuardReading['unit'], string>> = {
  ms: 'ms',
  share: '%',
  'standard deviations': 'sd',
  score: '',
  number: '',
};
const INDENT = 13;

/** How a decision is shown. */
export interface DecisionPage {
  readonly view: DecisionView;
  readonly startedAtMs: number;
  readonly columns: number;
}

/** Time since the start, sign, action and reason; then the guards, where the decision rests on some. */
export function decisionLines({ view, startedAtMs, columns }: DecisionPage, palette: Palette): readonly string[] {
  const { action, reason, guards } = view.decision;
  const time = palette.dim(padStart(secondsText(view.atMs - startedAtMs), 7));
  const lead = `  ${time} ${signed(action, palette)}  `;
  const lines = paragraph(`${palette.bold(action)}: ${reason}`, { columns, lead });
  if (guards.length === 0) return lines;
  const known = guards.filter(({ challenger }) => challenger !== undefined);
  const proof = action === 'roll-back' ? 'harm' : 'safety';
  const readings = known.map((guard) => readingText(guard, { proof, palette })).join(' · ');
  return known.length === 0 ? lines : [...lines, ...paragraph(readings, { columns, lead: ' '.repeat(INDENT) })];
}

function signed(action: Action, palette: Palette): string {
  const sign = SIGNS[action];
  if (action === 'roll-back') return palette.red(sign);
  return action === 'promote' || action === 'advance' ? palette.green(sign) : sign;
}

interface ReadingStyle {
  /** What the decision took of a guard that weighs evidence. */
  readonly proof: 'harm' | 'safety';
  readonly palette: Palette;
}

/** One guard's value and what it is held against, on one line: the champion where the arms are compared, else a limit. */
function readingText(reading: GuardReading, { proof, palette }: ReadingStyle): string {
  const { guard, champion, challenger, limit, unit, verdict, progress } = reading;
  const name = NAMES[guard] ?? guard;
  const isRelative = guard.startsWith('latency.') || progress !== undefined;
  const against = isRelative ? `vs ${guardNumber(champion, unit)}` : `of ${guardNumber(limit, unit)}`;
  const values = `${name} ${guardNumber(challenger, unit)} ${against} ${UNITS[unit]}`.trimEnd();
  const weighed = progress === undefined ? '' : `, ${proof} ${Math.floor(progress[proof] * 100)} %`;
  const text = keepTogether(values + weighed);
  return verdict === 'harmful' ? palette.red(text) : palette.dim(text);
}
