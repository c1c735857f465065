// Installs the flag SDKs that we are compared with and runs their evaluators, each in a process of its own.
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FlagFamily, FLAG_KEY, flagUsers, rivalDocuments } from '../flag-case.ts';
import { REPOSITORY_FOLDER, RIVALS_FOLDER } from '../harness/folders.ts';
import { ensureInstalled } from '../harness/installation.ts';
import { runCommand, SERVER_CORE } from '../harness/running-process.ts';
import { ensureTool } from '../harness/system-tool.ts';
import type { LoopOptions, LoopResult } from './flag-evaluators/loop.ts';

const INSTALL_DEADLINE_MS = 300_000;
const START_DEADLINE_MS = 60_000;
const SOURCE_FOLDER = join(RIVALS_FOLDER, 'flag-evaluators');
const FILES = ['package.json', 'package-lock.json', 'evaluate.js', 'flagsmith.js', 'loop.ts'] as const;

/** Runs one rival's evaluator, or ours with the rival's hash. */
export interface FlagContest {
  readonly rival: (family: FlagFamily, options: LoopOptions) => Promise<LoopResult>;
  readonly ours: (family: FlagFamily, options: LoopOptions) => Promise<LoopResult>;
}

export async function openFlagContest(): Promise<FlagContest> {
  const folder = await ensureEvaluators();
  const caseFile = join(folder, 'case.json');
  await writeFile(caseFile, JSON.stringify({ key: FLAG_KEY, users: flagUsers(), documents: rivalDocuments() }));
  return {
    rival: (family, options) => run(`${family}'s SDK`, [join(folder, 'evaluate.js'), family, caseFile], options),
    ours: (family, options) => run('understudy', [join(REPOSITORY_FOLDER, 'bench/understudy-flags.ts'), family], options),
  };
}

async function run(name: string, script: readonly string[], { rounds, secondsPerRound }: LoopOptions): Promise<LoopResult> {
  const args = [...script, String(rounds), String(secondsPerRound)];
  const deadlineMs = START_DEADLINE_MS + (rounds + 1) * secondsPerRound * 1000;
  const text = await runCommand({ name, command: process.execPath, args, core: SERVER_CORE }, deadlineMs);
  return JSON.parse(text) as LoopResult;
}

async function ensureEvaluators(): Promise<string> {
  const npm = await ensureTool({ program: 'npm', aptPackage: 'npm' });
  const folder = await ensureInstalled({
    name: 'flag-evaluators',
    versionsFile: join(SOURCE_FOLDER, 'package-lock.json'),
    needs: 'npm and a package registry',
    install: async (target) => {
      await copyFiles(target);
      const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
      await runCommand({ name: 'npm ci', command: npm, args, cwd: target }, INSTALL_DEADLINE_MS);
    },
  });
  // Also when it was installed before: the scripts themselves may have changed.
  await copyFiles(folder);
  return folder;
}

async function copyFiles(folder: string): Promise<void> {
  for (const file of FILES) await copyFile(join(SOURCE_FOLDER, file), join(folder, file));
}
