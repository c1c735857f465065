/** A champion that failed, on the screen: what happened in which order, and who was champion when. The third story depends on it. */
import { formatDuration } from '@understudy/core/duration';
import type { ChampionTerm } from '@understudy/core/model';
import { plural, secondsText } from './figures.ts';
import { columnsOf, padStart, paragraph } from './lines.ts';
import type { Relapse } from './outcome.ts';
import type { Palette } from './palette.ts';

export interface Place {
  readonly palette: Palette;
  readonly columns: number;
}

/** Seconds since the first error, and what happened then. */
export function relapseLines({ model, failed, measure }: Relapse, { palette, columns }: Place): readonly string[] {
  const { errorSpan, problems } = measure;
  const record = model.lastRollback;
  if (errorSpan === undefined || record === undefined) return [`  No user got an error of ${failed}.`];
  const at = (atMs: number, sign: string, text: string) =>
    paragraph(text, { columns, lead: `  ${palette.dim(padStart(secondsText(atMs - errorSpan.firstMs), 7))} ${sign}  ` });
  const kinds = Object.keys(problems).join(', ');
  const total = `${plural(measure.errors, 'error')}, ${plural(measure.errorUsers, 'user')}`;
  return [
    ...at(errorSpan.firstMs, palette.red('✖'), `the first user gets an error (${kinds})`),
    ...at(record.atMs, palette.red('▼'), `${palette.bold('roll-back')}: ${record.reason}`),
    ...at(record.atMs, palette.green('▲'), `${record.failed} is marked unhealthy, everybody is on ${record.restored}`),
    ...at(errorSpan.lastMs, palette.green('✔'), `the last user gets an error; in all ${total}`),
  ];
}

/** Every term as champion, oldest first. */
export function termLines(terms: readonly ChampionTerm[], palette: Palette): readonly string[] {
  const head = ['version', 'from', 'until', 'for', 'began with'].map((title) => palette.dim(title));
  const rows = terms.map(({ version, fromMs, untilMs, began }) => [
    version,
    clockText(fromMs),
    untilMs === undefined ? 'now' : clockText(untilMs),
    untilMs === undefined ? '' : formatDuration(untilMs - fromMs),
    began,
  ]);
  return columnsOf([head, ...rows], ['left', 'left', 'left', 'right', 'left']);
}

function clockText(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 23);
}
