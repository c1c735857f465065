/** What goes to stdout, in the form that was asked for. Every command shows its answer through it. */
import type { CliIo } from './io.ts';
import { harmlessJson, plainDeep } from './terminal-text.ts';
import { UsageError } from './usage-error.ts';

export const OUTPUT_FORMS = ['table', 'json', 'yaml', 'name'] as const;
export type OutputForm = (typeof OUTPUT_FORMS)[number];

/** One answer in all its forms. `text` and `names` get the data made harmless for a terminal. */
export interface Shown<Data> {
  readonly data: Data;
  text(data: Data): string;
  names(data: Data): readonly string[];
}

export interface Output {
  readonly form: OutputForm;
  show<Data>(shown: Shown<Data>): Promise<void>;
  /** One line of a stream: compact JSON, or a line of text. */
  showLine<Data>(shown: Pick<Shown<Data>, 'data' | 'text'>): void;
}

/** The form that `--json` and `-o` ask for. */
export function outputFormOf(options: Readonly<Record<string, unknown>>): OutputForm {
  const wish = options['output'];
  const form = OUTPUT_FORMS.find((candidate) => candidate === wish);
  if (options['json'] !== true) return form ?? 'table';
  if (form !== undefined && form !== 'json') throw new UsageError(`--json and --output ${form} contradict each other`);
  return 'json';
}

export function outputTo(io: CliIo, form: OutputForm): Output {
  const write = (text: string) => void io.stdout.write(text.endsWith('\n') || text === '' ? text : `${text}\n`);
  return {
    form,
    async show(shown) {
      if (form === 'json') return write(harmlessJson(JSON.stringify(shown.data, undefined, 2)));
      const data = plainDeep(shown.data);
      if (form === 'name') return write(shown.names(data).join('\n'));
      if (form === 'table') return write(shown.text(data));
      const { stringify } = await import('yaml');
      return write(stringify(data));
    },
    showLine(shown) {
      write(form === 'json' ? harmlessJson(JSON.stringify(shown.data)) : shown.text(plainDeep(shown.data)));
    },
  };
}
