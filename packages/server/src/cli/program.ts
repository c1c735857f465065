/** The command line as a Commander program, made from the table of commands. `main.ts` runs it through `run-cli.ts`. */
import { Command as Program, Option as ProgramOption, Argument as ProgramArgument } from 'commander';
import { type Command, inputOf, type Option } from './command.ts';
import { allCommands, GROUPS } from './commands.ts';
import { OUTPUT_FORMS } from './output.ts';
import type { ExitCode } from './exit-codes.ts';
import { EXIT } from './exit-codes.ts';
import { type CliDeps, openSession, type Session } from './session.ts';
import { plain } from './terminal-text.ts';
import { UsageError } from './usage-error.ts';

export interface ProgramDeps extends CliDeps {
  /** Commands that need the server itself, such as `serve`. */
  readonly extraCommands?: readonly Command[];
}

/** What a program tells the one who runs it. */
export interface Run {
  command?: Command;
  session?: Session;
  /** Words of the command's arguments, by name. */
  typed?: Readonly<Record<string, unknown>>;
  code?: ExitCode;
}

const ABOUT = [
  'Safe roll-out of machine-learning model versions.',
  '',
  'Examples:',
  '  understudy version register digits v2 --onnx digits.onnx',
  '  understudy rollout start digits v2',
  '  understudy rollout get digits -w',
  '  understudy kill digits --reason "wrong answers"',
].join('\n');

const ABOUT_GLOBALS = `
Options of every command:
  --json, -o table|json|yaml|name, --url, --context, --token-file, --no-color,
  --no-input, --debug: see understudy --help`;

// Wide enough for every table of ours, narrow enough for every terminal.
const HELP_COLUMNS = 79;

/** @param run filled in when a command has run */
export function buildProgram(deps: ProgramDeps, run: Run = {}): Program {
  const program = new Program('understudy').description(ABOUT).version(deps.release, '-V, --version', 'print the release');
  program.exitOverride().showSuggestionAfterError(true).helpCommand('help [command]', 'show the help of a command');
  program.helpOption('-h, --help', 'show this help').configureHelp({ subcommandTerm: termOf });
  program.configureOutput({
    writeOut: (text) => void deps.io.stdout.write(text),
    writeErr: (text) => void deps.io.stderr.write(text.split('\n').map(plain).join('\n')),
    getOutHelpWidth: () => HELP_COLUMNS,
    getErrHelpWidth: () => HELP_COLUMNS,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  addGlobalOptions(program);
  const groups = new Map<string, Program>();
  for (const command of allCommands(deps.extraCommands ?? [])) {
    const words = command.path.split(' ');
    const parent = groupOf(program, words.slice(0, -1), groups);
    const built = programOf(command, { deps, run }).copyInheritedSettings(program);
    parent.addCommand(built, { hidden: command.isHidden === true });
    if (words.length === 1) groups.set(command.path, built);
  }
  program.addHelpText('after', '\nExit codes, environment and files: docs/cli.md');
  return program;
}

function addGlobalOptions(program: Program): void {
  program
    .option('--json', 'the answer as one JSON document; with -w one per line')
    .addOption(new ProgramOption('-o, --output <form>', 'form of the answer').choices(OUTPUT_FORMS))
    .option('--url <url>', 'address of the control plane')
    .option('--context <name>', 'an address stored by `understudy login`')
    .option('--token-file <file>', 'file that holds the token; - for stdin')
    .option('--no-color', 'no colours')
    .option('--no-input', 'never ask anything')
    .option('--debug', 'add stack traces to errors');
}

/** @param words of the group, outermost first; none is the program itself */
function groupOf(program: Program, words: readonly string[], groups: Map<string, Program>): Program {
  const name = words.join(' ');
  const last = words.at(-1);
  if (last === undefined) return program;
  const known = groups.get(name);
  if (known !== undefined) return known;
  const group = new Program(last).copyInheritedSettings(program).helpCommand(false);
  group.description(GROUPS.find((candidate) => candidate.name === name)?.summary ?? name);
  groups.set(name, group);
  groupOf(program, words.slice(0, -1), groups).addCommand(group);
  return group;
}

function programOf(command: Command, { deps, run }: { readonly deps: ProgramDeps; readonly run: Run }): Program {
  const built = new Program(command.path.split(' ').at(-1)).summary(command.summary).description(descriptionOf(command));
  for (const { name, about, choices, isOptional, isRest } of command.arguments ?? []) {
    const word = isRest === true ? `${name}...` : name;
    const argument = new ProgramArgument(isOptional === true ? `[${word}]` : `<${word}>`, about);
    built.addArgument(choices === undefined ? argument : argument.choices([...choices]));
  }
  for (const option of optionsOf(command)) built.addOption(programOptionOf(option));
  built.addHelpText('after', ABOUT_GLOBALS);
  built.action(async () => {
    const entries = (command.arguments ?? []).map(({ name }, index) => [name, built.processedArgs[index]] as const);
    const options = built.optsWithGlobals();
    run.command = command;
    run.typed = Object.fromEntries(entries);
    run.session = openSession(deps, options);
    if (command.reason === 'required' && !hasText(options['reason'])) {
      throw new UsageError(`${command.path} needs --reason "…": it is kept in the journal, for those who ask later`);
    }
    run.code = (await command.run(run.session, inputOf({ arguments: run.typed, options }))) ?? EXIT.ok;
    await showPlanned(run.session);
  });
  return built;
}

/** The command's own options and those that follow from what it is. */
export function optionsOf({ options = [], reason, isConfirmed, isChange }: Command): readonly Option[] {
  return [
    ...options,
    reason === undefined
      ? []
      : [{ flags: '--reason <text>', about: `why; kept in the journal${reason === 'required' ? ' (required)' : ''}` }],
    isConfirmed === true ? [{ flags: '--yes', about: 'do not ask; needed where nobody can be asked' }] : [],
    isChange === true ? [{ flags: '--dry-run', about: 'show what would be sent, and send nothing' }] : [],
  ].flat();
}

/** Without `[options]`, which every command has. */
function termOf(program: Program): string {
  const words = program.registeredArguments.map((argument) =>
    argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
  );
  return [program.name(), ...words].join(' ');
}

function descriptionOf({ summary, details = [], examples }: Command): string {
  const paragraphs = [`${summary}.`, ...(details.length === 0 ? [] : ['', ...details])];
  return [...paragraphs, '', 'Examples:', ...examples.map((example) => `  understudy ${example}`)].join('\n');
}

function programOptionOf({ flags, about, choices, isRepeatable }: Option): ProgramOption {
  const option = new ProgramOption(flags, about);
  if (isRepeatable !== true) return choices === undefined ? option : option.choices(choices);
  return option.argParser((word: string, before: readonly string[] | undefined) => {
    if (choices !== undefined && !choices.includes(word)) {
      throw new UsageError(`${flags} ${word}: choose from ${choices.join(', ')}`);
    }
    return [...(before ?? []), word];
  });
}

function hasText(value: unknown): boolean {
  return typeof value === 'string' && value.trim() !== '';
}

async function showPlanned({ isDryRun, planned, output }: Session): Promise<void> {
  if (!isDryRun) return;
  await output.show({
    data: { dryRun: true, requests: planned },
    text: ({ requests }) =>
      requests.map(({ method, path, body }) => [`${method} ${path}`, bodyWords(body)].flat().join('\n')).join('\n'),
    names: ({ requests }) => requests.map(({ method, path }) => `${method} ${path}`),
  });
}

function bodyWords(body: unknown): readonly string[] {
  return body === undefined ? [] : [typeof body === 'string' ? body : JSON.stringify(body, undefined, 2)];
}
