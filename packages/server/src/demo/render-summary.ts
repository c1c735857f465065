/** The last page: three stories, what had to happen and what did. `run-demo.ts` depends on it. */
import { paragraph } from './lines.ts';
import type { StoryResult } from './outcome.ts';
import type { Palette } from './palette.ts';

export interface SummaryPage {
  readonly results: readonly StoryResult[];
  readonly columns: number;
}

/** A sign and a title for each story; below it what had to happen, what did, and what was wrong. */
export function summaryLines({ results, columns }: SummaryPage, palette: Palette): readonly string[] {
  return results.flatMap((result, index) => {
    const isGood = result.problems.length === 0;
    const sign = isGood ? palette.green('✔') : palette.red('✖');
    const row = (name: string, text: string) => paragraph(text, { columns, lead: `       ${palette.dim(name.padEnd(9))} ` });
    return [
      ` ${sign} ${index + 1}  ${palette.bold(result.title)}`,
      ...row('had to', result.must),
      ...row('happened', result.happened),
      ...result.problems.flatMap((problem) => row('wrong', palette.red(problem))),
    ];
  });
}

/** Whether every story ended as it must. */
export function areAllGood(results: readonly StoryResult[]): boolean {
  return results.every(({ problems }) => problems.length === 0);
}
