/** `understudy completion …`: scripts for the shells, and the hidden command they ask for words. */
import type { Argument, Command, Input, Option } from './command.ts';
import { lookUpNames } from './name-lookup.ts';
import { OUTPUT_FORMS } from './output.ts';
import type { Session } from './session.ts';
import { UsageError } from './usage-error.ts';

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `# Load it with: source <(understudy completion bash)
_understudy() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(understudy __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _understudy understudy`,
  zsh: `#compdef understudy
# Load it with: source <(understudy completion zsh)
_understudy() {
  local -a words_found
  words_found=("\${(@f)$(understudy __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${words_found[1]}" ]]; then compadd -a words_found; else _files; fi
}
compdef _understudy understudy`,
  fish: `# Load it with: understudy completion fish | source
function __understudy_words
  set -l words (commandline -opc) (commandline -ct)
  understudy __complete -- $words[2..-1] 2>/dev/null
end
complete -c understudy -a '(__understudy_words)'`,
};

const PATIENCE_MS = 120;
const GLOBAL_WORDS = [
  '--json',
  '--output',
  '--url',
  '--context',
  '--token-file',
  '--no-color',
  '--no-input',
  '--debug',
  '--help',
];

/** @param known every command of the program, asked for when a word is completed */
export function completionCommands(known: () => readonly Command[]): readonly Command[] {
  return [
    {
      path: 'completion',
      summary: 'Print a completion script for a shell',
      arguments: [{ name: 'shell', about: 'bash, zsh or fish', choices: Object.keys(SCRIPTS) }],
      examples: ['completion bash >> ~/.bashrc', 'completion fish > ~/.config/fish/completions/understudy.fish'],
      async run(session, input) {
        const shell = input.argument('shell');
        const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
        if (script === undefined) throw new UsageError(`there is no completion for ${shell}; choose bash, zsh or fish`);
        await session.output.show({ data: { shell, script }, text: () => script, names: () => [shell] });
      },
    },
    {
      path: '__complete',
      summary: 'Words that may come next; for the completion scripts',
      arguments: [{ name: 'words', about: 'what was typed', isOptional: true, isRest: true }],
      examples: ['__complete -- rollout get dig'],
      isHidden: true,
      async run(session: Session, input: Input) {
        const words = await complete(session, known(), input.rest('words'));
        await session.output.show({ data: words, text: (data) => data.join('\n'), names: (data) => data });
      },
    },
  ];
}

/** The words that may stand where the last one of `typed` is. */
async function complete(session: Session, commands: readonly Command[], typed: readonly string[]): Promise<string[]> {
  const before = typed.slice(0, -1);
  const started = typed.at(-1) ?? '';
  const visible = commands.filter(({ isHidden }) => isHidden !== true);
  const command = visible
    .filter(({ path }) => path.split(' ').every((word, index) => before[index] === word))
    .toSorted((left, right) => right.path.length - left.path.length)[0];
  const subcommands = visible.flatMap(({ path }) => {
    const words = path.split(' ');
    const isBelow = words.length > before.length && before.every((word, index) => words[index] === word);
    return isBelow ? [words[before.length] ?? ''] : [];
  });
  const found = [...subcommands, ...(command === undefined ? [] : await wordsOf(session, command, { before, started }))];
  return [...new Set(found)].filter((word) => word.startsWith(started));
}

interface Line {
  readonly before: readonly string[];
  readonly started: string;
}

async function wordsOf(session: Session, command: Command, { before, started }: Line): Promise<readonly string[]> {
  const rest = before.slice(command.path.split(' ').length);
  const options = command.options ?? [];
  const last = rest.at(-1) ?? '';
  const pending = options.find((option) => takesValue(option) && spellingsOf(option).includes(last));
  const positions = positionalsOf(rest, options);
  const model = positions[(command.arguments ?? []).findIndex(({ kind }) => kind === 'model')];
  if (pending !== undefined) return valuesOf(session, pending, model);
  if (last === '-o' || last === '--output') return OUTPUT_FORMS;
  if (started.startsWith('-')) return [...options.flatMap(spellingsOf), ...changeWords(command), ...GLOBAL_WORDS];
  const argument = command.arguments?.[positions.length];
  return argument === undefined ? [] : valuesOf(session, argument, model);
}

async function valuesOf(
  session: Session,
  { kind, choices }: Pick<Argument & Option, 'kind' | 'choices'>,
  model: string | undefined,
): Promise<readonly string[]> {
  if (choices !== undefined) return choices;
  return kind === undefined ? [] : lookUpNames(session, { kind, model, withinMs: session.deps.patienceMs ?? PATIENCE_MS });
}

function changeWords({ isChange, isConfirmed, reason }: Command): readonly string[] {
  return [
    isChange === true ? ['--dry-run'] : [],
    isConfirmed === true ? ['--yes'] : [],
    reason === undefined ? [] : ['--reason'],
  ].flat();
}

function positionalsOf(words: readonly string[], options: readonly Option[]): readonly string[] {
  const valued = new Set([
    ...options.filter(takesValue).flatMap(spellingsOf),
    '-o',
    '--output',
    '--url',
    '--context',
    '--token-file',
    '--reason',
  ]);
  return words.filter((word, index) => !word.startsWith('-') && !valued.has(words[index - 1] ?? ''));
}

function takesValue({ flags }: Option): boolean {
  return flags.includes('<');
}

function spellingsOf({ flags }: Option): readonly string[] {
  return flags.split(/[ ,]+/).filter((word) => word.startsWith('-'));
}
