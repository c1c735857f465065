// Finds the programs the machine must bring (wrk, nginx, redis-server, …) and installs a missing one with scripts/system-packages.sh.
import { access, constants } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { REPOSITORY_FOLDER } from './folders.ts';
import { MissingDependency } from './missing-dependency.ts';
import { runCommand } from './running-process.ts';

const INSTALL_DEADLINE_MS = 300_000;
// Debian keeps daemons here, outside the PATH of ordinary users.
const DAEMON_FOLDERS = ['/usr/local/sbin', '/usr/sbin'];

export interface SystemTool {
  /** As it is called. */
  readonly program: string;
  /** What contains it, as Debian names it. */
  readonly aptPackage: string;
}

/**
 * @returns the program's absolute path
 * @throws MissingDependency when it is not there and cannot be installed
 */
export async function ensureTool(tool: SystemTool): Promise<string> {
  const present = await findTool(tool.program);
  if (present !== undefined) return present;
  await installPackage(tool);
  const installed = await findTool(tool.program);
  if (installed === undefined) throw missing(tool, 'could not be installed');
  return installed;
}

/** @throws MissingDependency when this machine cannot give the server one core and the load another */
export async function assertMachineCanMeasure(): Promise<void> {
  if (process.platform !== 'linux') throw new MissingDependency('the gateway suite reads CPU time from /proc: run it on Linux');
  if (availableParallelism() < 2)
    throw new MissingDependency('the gateway suite needs two cores: one for the server, one for the load');
  await ensureTool({ program: 'taskset', aptPackage: 'util-linux' });
}

async function findTool(program: string): Promise<string | undefined> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...DAEMON_FOLDERS];
  for (const folder of folders) {
    const path = join(folder, program);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

async function installPackage(tool: SystemTool): Promise<void> {
  const script = join(REPOSITORY_FOLDER, 'scripts/system-packages.sh');
  console.error(`"${tool.program}" is missing: installing ${tool.aptPackage} …`);
  try {
    await runCommand({ name: 'system-packages.sh', command: 'sh', args: [script, tool.aptPackage] }, INSTALL_DEADLINE_MS);
  } catch (cause) {
    throw missing(tool, cause instanceof Error ? cause.message : String(cause));
  }
}

function missing({ program, aptPackage }: SystemTool, reason: string): MissingDependency {
  return new MissingDependency(`"${program}" is missing: ${reason}. Install it: apt-get install ${aptPackage}`);
}
