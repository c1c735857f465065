/** A command as data: its words, its help, and what it runs. Program, help, completion and documentation are made from it. */
import type { ExitCode } from './exit-codes.ts';
import type { Session } from './session.ts';
import { UsageError } from './usage-error.ts';

/** What a name stands for; completion and "did you mean" look it up. */
export type NameKind = 'model' | 'version' | 'rollout' | 'plan' | 'flag' | 'segment' | 'context' | 'scenario';

export interface Argument {
  readonly name: string;
  readonly about: string;
  readonly kind?: NameKind;
  readonly choices?: readonly string[];
  readonly isOptional?: boolean;
  /** Takes all words that are left; read it with `rest`. */
  readonly isRest?: boolean;
}

export interface Option {
  /** As Commander writes it: `-w, --watch`, `--plan <name>`. */
  readonly flags: string;
  readonly about: string;
  readonly kind?: NameKind;
  readonly choices?: readonly string[];
  /** May be given several times; read it with `list`. */
  readonly isRepeatable?: boolean;
}

export interface Command {
  /** All of its words: `rollout get`. */
  readonly path: string;
  readonly summary: string;
  /** More paragraphs for the help page, each line below 80 columns. */
  readonly details?: readonly string[];
  readonly arguments?: readonly Argument[];
  readonly options?: readonly Option[];
  /** At least one, without the leading `understudy`. */
  readonly examples: readonly string[];
  /** Changes something on the server: takes `--dry-run`. */
  readonly isChange?: boolean;
  /** Takes `--reason`. */
  readonly reason?: 'required' | 'optional';
  /** Asks before it acts: takes `--yes`. */
  readonly isConfirmed?: boolean;
  readonly isHidden?: boolean;
  /** Ends by itself when interrupted, such as a server that drains; otherwise Ctrl-C ends it at once. */
  readonly endsItself?: boolean;
  /** @returns the exit code; 0 when it returns nothing */
  run(session: Session, input: Input): Promise<ExitCode | void>;
}

/** What was typed, by name. */
export interface Input {
  /** A required argument. */
  argument(name: string): string;
  optionalArgument(name: string): string | undefined;
  rest(name: string): readonly string[];
  /** An option's value, by its long name in camel case. */
  text(option: string): string | undefined;
  list(option: string): readonly string[];
  flag(option: string): boolean;
  /** `--reason`, or the default of a command that has one. */
  reason(fallback: string): string;
}

export interface Typed {
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
}

export function inputOf(typed: Typed): Input {
  const text = (values: Typed['options'], name: string) => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    argument(name) {
      const value = text(typed.arguments, name);
      if (value === undefined) throw new UsageError(`<${name}> is missing`);
      return value;
    },
    optionalArgument: (name) => text(typed.arguments, name),
    text: (option) => text(typed.options, option),
    rest: (name) => listOf(typed.arguments[name]),
    list: (option) => listOf(typed.options[option]),
    flag: (option) => typed.options[option] === true,
    reason: (fallback) => text(typed.options, 'reason') ?? fallback,
  };
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
