/** Labelled lines, wrapped under their label, as the views of one thing are written. */
import type { Palette } from './palette.ts';
import { padTo, wrap } from './terminal-text.ts';

/** A label with its sentences; without any the line is left out. */
export type Fact = readonly [label: string, value: string | readonly string[] | undefined];

export interface FactOptions {
  readonly width: number;
  readonly palette: Palette;
}

/** Facts under each other, each sentence on a line of its own. */
export function renderFacts(facts: readonly Fact[], { width, palette }: FactOptions): string {
  const shown = facts.filter(([, value]) => value !== undefined && value.length > 0);
  const indent = Math.max(0, ...shown.map(([label]) => label.length)) + 2;
  return shown
    .flatMap(([label, value = []]) => {
      const sentences = typeof value === 'string' ? [value] : value;
      const lines = sentences.flatMap((sentence) => wrap(sentence, Math.max(10, width - indent)));
      return lines.map((line, index) => (index === 0 ? palette.dim(padTo(label, indent)) : ' '.repeat(indent)) + line);
    })
    .join('\n');
}
