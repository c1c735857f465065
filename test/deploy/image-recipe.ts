// deploy/Dockerfile as data, and what .dockerignore lets through to it. Its test and the rehearsal depend on it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Copy, DockerfileParser, type Env, type From, type Instruction } from 'dockerfile-ast';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const DOCKERFILE = readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8');

/** An instruction that the rehearsal carries out or the test looks at. */
export type Step =
  | { readonly kind: 'copy'; readonly from: string | undefined; readonly sources: readonly string[]; readonly target: string }
  | { readonly kind: 'run'; readonly command: string }
  | { readonly kind: 'workdir'; readonly path: string }
  | { readonly kind: 'env'; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'entrypoint' | 'cmd' | 'healthcheck'; readonly words: readonly string[] }
  | { readonly kind: 'label' | 'user' | 'expose' | 'stopsignal'; readonly text: string };

export interface Stage {
  readonly name: string | undefined;
  readonly base: string;
  readonly steps: readonly Step[];
}

/** @throws Error for an instruction that is not known here: the rehearsal would pass over it in silence */
export function readRecipe(text = DOCKERFILE): readonly Stage[] {
  const stages: { name: string | undefined; base: string; steps: Step[] }[] = [];
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      const from = instruction as From;
      stages.push({ name: from.getBuildStage() ?? undefined, base: from.getImage() ?? '', steps: [] });
    } else {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error(`deploy/Dockerfile has ${instruction.getKeyword()} before the first FROM`);
      stage.steps.push(stepOf(instruction));
    }
  }
  return stages;
}

function stepOf(instruction: Instruction): Step {
  const keyword = instruction.getKeyword();
  const text = instruction.getArgumentsContent() ?? '';
  const words = instruction.getArguments().map((argument) => argument.getValue());
  switch (keyword) {
    case 'COPY':
      return { kind: 'copy', from: flagOf(instruction as Copy, 'from'), sources: words.slice(0, -1), target: words.at(-1) ?? '' };
    case 'RUN':
      return { kind: 'run', command: text };
    case 'WORKDIR':
      return { kind: 'workdir', path: text };
    case 'ENV':
      return { kind: 'env', values: valuesOf(instruction as Env) };
    case 'LABEL':
      return { kind: 'label', text };
    case 'ENTRYPOINT':
      return { kind: 'entrypoint', words: listOf(keyword, text) };
    case 'CMD':
      return { kind: 'cmd', words: listOf(keyword, text) };
    case 'HEALTHCHECK':
      return { kind: 'healthcheck', words: listOf(keyword, text) };
    case 'USER':
      return { kind: 'user', text };
    case 'EXPOSE':
      return { kind: 'expose', text };
    case 'STOPSIGNAL':
      return { kind: 'stopsignal', text };
    default:
      throw new Error(`deploy/Dockerfile has the instruction ${keyword}, which test/deploy/image-recipe.ts does not know`);
  }
}

function flagOf(copy: Copy, name: string): string | undefined {
  return (
    copy
      .getFlags()
      .find((flag) => flag.getName() === name)
      ?.getValue() ?? undefined
  );
}

function valuesOf(env: Env): Readonly<Record<string, string>> {
  return Object.fromEntries(env.getProperties().map((property) => [property.getName(), property.getValue() ?? '']));
}

/** @throws Error unless it is a JSON list: signals would go to a shell */
function listOf(keyword: string, text: string): string[] {
  const from = text.indexOf('[');
  if (from < 0)
    throw new Error(`${keyword} of deploy/Dockerfile is not a JSON list, so that signals would go to a shell; it is: ${text}`);
  return JSON.parse(text.slice(from)) as string[];
}

/** The files of this checkout that a build gets to see, by path from the root. */
export function buildContext(): readonly string[] {
  const rules = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ isException: line.startsWith('!'), regex: regexOf(line.replace(/^!/, '')) }));
  const isSent = (path: string): boolean => rules.findLast(({ regex }) => regex.test(path))?.isException ?? true;
  return filesIn('').filter(isSent);
}

/** A pattern also holds for everything in a folder that it matches. */
function regexOf(pattern: string): RegExp {
  const words: Readonly<Record<string, string>> = { '**/': '(?:.*/)?', '*': '[^/]*', '?': '[^/]' };
  const body = pattern.replaceAll(/\*\*\/|[*?.+^${}()|[\]\\]/g, (mark) => words[mark] ?? `\\${mark}`);
  return new RegExp(`^${body}(?:/.*)?$`);
}

// Large, and of no interest: `*` in .dockerignore leaves them out, which the test makes sure of.
const NEVER_SENT = new Set(['node_modules', '.git', '.cache']);

function filesIn(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (NEVER_SENT.has(entry.name)) return [];
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}
