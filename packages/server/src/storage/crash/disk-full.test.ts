import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const CHILD = fileURLToPath(new URL('./disk-full.child.ts', import.meta.url));

/** Runs a command with a disk of 24 MB mounted on a directory, which only that command sees. */
const onSmallDisk = (directory: string, command: string) => [
  'unshare',
  '--user',
  '--map-root-user',
  '--mount',
  'sh',
  '-c',
  `mount -t tmpfs -o size=24m tmpfs '${directory}' && ${command}`,
];

function run([command = '', ...rest]: readonly string[]) {
  return spawnSync(command, rest, { encoding: 'utf8' });
}

const directory = mkdtempSync(path.join(tmpdir(), 'understudy-full-'));
afterAll(() => rmSync(directory, { recursive: true }));
// Some systems forbid mounting to everybody but root, and some containers to root as well.
const canMount = run(onSmallDisk(directory, 'true')).status === 0;

it.runIf(canMount)(
  'keeps reading, committing and verifying on a full disk, and recovers without a restart',
  () => {
    const command = onSmallDisk(directory, `exec '${process.execPath}' '${CHILD}' '${directory}'`);
    const { stdout, stderr } = run(command);
    expect(stderr).toBe('');
    const seen: unknown = JSON.parse(stdout);
    expect(seen).toMatchObject({
      evidence: { code: 'store.write_failed' },
      // The reserve makes room for what people do, and only for that.
      important: { done: 20 },
      isReleased: true,
      meanwhile: { done: 0, code: 'store.write_failed' },
      // Even that ends, with an error and not with a lie.
      toTheEnd: { code: 'store.write_failed' },
      afterwards: { done: 100 },
      isHeldAgain: true,
      check: { intact: true },
    });
  },
  30_000,
);
