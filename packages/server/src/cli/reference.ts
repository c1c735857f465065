/** The page `docs/cli.md`, made from the table of commands. A test compares the two. */
import { type Command, type Option } from './command.ts';
import { EXIT, EXIT_MEANINGS } from './exit-codes.ts';
import { optionsOf } from './program.ts';

const INTRODUCTION = `# Command line

Made from the program by \`packages/server/src/cli/reference.ts\`; a test keeps the two the same. Run
\`understudy <command> --help\` for one command. \`understudy demo\` shows the product with traffic of its own.

- Data goes to stdout, talk to stderr. \`--json\` gives one JSON document (with \`-w\` one per line), \`-o yaml\` YAML, \`-o name\` only
  names.
- Commands that change something take \`--dry-run\`, which shows the requests and sends none. \`kill\` and \`rollback\` act at once and need
  only \`--reason\`; \`promote\` asks first, and \`--yes\` answers for scripts.
- Where nobody can be asked (no terminal, \`--no-input\`) nothing is asked: the command ends with code 2 and says what to add.
- Colours and redrawing need a terminal. \`NO_COLOR\`, \`FORCE_COLOR\`, \`TERM=dumb\` and \`--no-color\` are heeded.
- Text from the server loses its control characters before it is shown; in JSON they are escaped.

## Which control plane

The first that is set counts: flags, environment, the project's \`.understudy.yaml\` (in this folder or one above), the user's current
context, \`http://127.0.0.1:7070\`.

| setting | flag           | environment             | .understudy.yaml |
| ------- | -------------- | ----------------------- | ---------------- |
| address | \`--url\`        | \`UNDERSTUDY_URL\`        | \`url\`            |
| token   |                | \`UNDERSTUDY_TOKEN\`      |                  |
| token   | \`--token-file\` | \`UNDERSTUDY_TOKEN_FILE\` | \`token-file\`     |
| context | \`--context\`    | \`UNDERSTUDY_CONTEXT\`    | \`context\`        |

There is no flag for the token itself: other users of a machine can read command lines. Environment variables are readable by every
program that the shell starts, so prefer a file (mode 0600) outside of CI. \`understudy login\` keeps address and token in
\`$XDG_CONFIG_HOME/understudy/contexts.json\` (mode 0600; \`~/.config\` by default); a stored token goes only to the address that it was
stored with. A project's \`token-file\` must lie inside of the project.`;

/** The whole page, ending in a newline. */
export function renderReference(commands: readonly Command[]): string {
  const visible = commands.filter(({ isHidden }) => isHidden !== true);
  return `${[INTRODUCTION, exitCodes(), '## Commands', ...visible.map(section)].join('\n\n')}\n`;
}

function exitCodes(): string {
  const entries = Object.entries(EXIT).map(([name, code]) => {
    const meaning = Object.entries(EXIT_MEANINGS).find(([key]) => key === name)?.[1] ?? '';
    return [String(code), meaning] as const;
  });
  return `## Exit codes\n\n${markdownTable(['code', 'meaning'], entries)}`;
}

function section(command: Command): string {
  const { path, summary, details = [], examples } = command;
  const words = (command.arguments ?? []).map(({ name, isOptional }) => (isOptional === true ? `[${name}]` : `<${name}>`));
  const parts = [
    `### ${path}`,
    [`${summary}.`, ...details].join('\n'),
    `\`\`\`sh\n${examples.map((example) => `understudy ${example}`).join('\n')}\n\`\`\``,
    `Usage: \`${['understudy', path, ...words].join(' ')}\``,
    list((command.arguments ?? []).map(({ name, about, choices }) => [name, withChoices(about, choices)])),
    optionsOf(command).length === 0 ? '' : 'Options:',
    list(optionsOf(command).map((option) => [option.flags, aboutOf(option)])),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function aboutOf({ about, choices, isRepeatable }: Option): string {
  return `${withChoices(about, choices)}${isRepeatable === true ? ' (may be repeated)' : ''}`;
}

function withChoices(about: string, choices: readonly string[] | undefined): string {
  return choices === undefined ? about : `${about}: ${choices.map((choice) => `\`${choice}\``).join(', ')}`;
}

function list(entries: readonly (readonly [string, string])[]): string {
  return entries.map(([name, about]) => `- \`${name}\`: ${about}`).join('\n');
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, index) => Math.max(3, title.length, ...rows.map((row) => (row[index] ?? '').length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
