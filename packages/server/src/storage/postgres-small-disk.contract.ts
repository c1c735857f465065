/** A disk of a few megabytes for a server of a test: memory that only what is started on it sees. Needs no rights but user namespaces. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface SmallDisk {
  /** Words to put before a command, which then sees the disk and is not root. */
  readonly inside: readonly string[];
  /** The directory as this process sees it. */
  readonly seen: string;
  /** Writes until nothing more fits. */
  readonly fill: () => void;
  /** Deletes what was filled in. */
  readonly free: () => void;
  readonly close: () => Promise<void>;
}

const UNSHARE = 'unshare';
const NEW_SPACES = ['--user', '--map-root-user', '--mount'];

/** Some systems forbid mounting to everybody but root, and some containers to root as well. */
export function canMount(): boolean {
  return spawnSync(UNSHARE, [...NEW_SPACES, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
}

/** Mounts an empty disk on a directory that exists. Ends with the process that started it, however that ends. */
export async function openSmallDisk(directory: string, megabytes: number, owner: Owner | undefined): Promise<SmallDisk> {
  const script = `mount -t tmpfs -o size=${megabytes}m,mode=0700 tmpfs "$1" && echo mounted && exec cat`;
  const holder = spawn(UNSHARE, [...NEW_SPACES, 'sh', '-c', script, 'sh', directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: '/',
    ...owner,
  });
  const ended = once(holder, 'exit');
  const mounted = await Promise.race([once(holder.stdout, 'data'), ended.then(() => undefined)]);
  if (mounted === undefined) throw new Error(`cannot mount a disk of ${megabytes} MB on "${directory}"`);
  const seen = `/proc/${holder.pid}/root${directory}`;
  // The servers that need a small disk refuse to be root, and in the first space everybody is.
  const asNobody = [UNSHARE, '--user', '--map-user=1000', '--map-group=1000'];
  const enter = 'nsenter';
  const inside = ['--target', String(holder.pid), '--user', '--mount', '--preserve-credentials', ...asNobody];
  const run = (command: string): void => {
    execFileSync(enter, [...inside, 'sh', '-c', command, 'sh', `${directory}/filler`], { ...owner, cwd: '/' });
  };
  return {
    inside: [enter, ...inside],
    seen,
    fill: () => run('cat /dev/zero >"$1" 2>/dev/null; test -s "$1"'),
    free: () => run('rm "$1"'),
    close: async () => {
      holder.stdin.end();
      await ended;
    },
  };
}
