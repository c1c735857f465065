// Reads from /proc how much CPU a server has used, workers included; Linux only.
import { readdir, readFile } from 'node:fs/promises';

// USER_HZ, the unit of the times in /proc/<pid>/stat: 100 per second on every Linux that Node runs on.
const MICROS_PER_TICK = 10_000;

interface ProcessTimes {
  readonly pid: number;
  readonly parentPid: number;
  readonly ticks: number;
}

/** User plus system time of the processes and all their descendants, in µs since they started. */
export async function cpuMicrosOf(rootPids: readonly number[]): Promise<number> {
  const processes = await readProcesses();
  const counted = new Set(rootPids);
  let ticks = 0;
  let remaining = processes;
  for (;;) {
    const family = remaining.filter(({ pid, parentPid }) => counted.has(pid) || counted.has(parentPid));
    if (family.length === 0) return ticks * MICROS_PER_TICK;
    for (const each of family) {
      counted.add(each.pid);
      ticks += each.ticks;
    }
    remaining = remaining.filter(({ pid }) => !counted.has(pid));
  }
}

async function readProcesses(): Promise<readonly ProcessTimes[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const times = await Promise.all(pids.map(readTimes));
  return times.filter((each) => each !== undefined);
}

async function readTimes(pid: number): Promise<ProcessTimes | undefined> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // it ended between the listing and the reading
  }
  // The name, in parentheses, may hold anything; the numbered fields of proc(5) go on after it, from field 3.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const field = (number: number): number => fields[number - 3] ?? 0;
  // utime, stime, and the same of children that have ended (cutime, cstime).
  return { pid, parentPid: field(4), ticks: field(14) + field(15) + field(16) + field(17) };
}
