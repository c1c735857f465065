/** The file beside a database that says which process has it open. `sqlite-connection.ts` depends on it. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';

const Holder = z.object({
  pid: z.int().positive(),
  /** When the process started, in clock ticks since the machine booted: a pid alone is used again. */
  startTime: z.string().exactOptional(),
  host: z.string(),
  since: z.string(),
});
type Holder = z.infer<typeof Holder>;

/** Who the file says has the database open, when that process is still running on this machine. */
export function liveHolder(file: string): string | undefined {
  const holder = readHolder(file);
  if (holder === undefined || holder.host !== hostname() || !isRunning(holder)) return undefined;
  return `process ${holder.pid} on ${holder.host}, since ${holder.since}`;
}

/** Who the file names, running or not, for a message. */
export function namedHolder(file: string): string | undefined {
  const holder = readHolder(file);
  return holder && `process ${holder.pid} on ${holder.host}, since ${holder.since}`;
}

/** Names this process as the holder. Only for who holds the database's own lock: the last writer wins. */
export function writeHolder(file: string): void {
  const startTime = statOf(process.pid)?.startTime;
  const holder: Holder = {
    pid: process.pid,
    ...(startTime === undefined ? {} : { startTime }),
    host: hostname(),
    since: new Date().toISOString(),
  };
  // Renamed into place, so that nobody reads half a file.
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(holder)}\n`);
  renameSync(draft, file);
}

export function removeHolder(file: string): void {
  rmSync(file, { force: true });
}

function readHolder(file: string): Holder | undefined {
  try {
    return Holder.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // Missing or unreadable: nobody is named. The database's own lock still keeps a second process out.
    return undefined;
  }
}

function isRunning(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  const stat = statOf(holder.pid);
  if (stat === undefined) return true;
  // A zombie has released everything it held and only waits for its parent to notice.
  if (stat.state === 'Z' || stat.state === 'X') return false;
  return holder.startTime === undefined || stat.startTime === holder.startTime;
}

/** Fields 3 and 22 of /proc/…/stat (proc(5)); undefined where there is no /proc. */
function statOf(pid: number): { readonly state: string | undefined; readonly startTime: string | undefined } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name in parentheses may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0], startTime: fields[19] };
  } catch {
    return undefined;
  }
}
