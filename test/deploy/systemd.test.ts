// The unit: systemd accepts it, calls it safe, and lets the program make every system call that it makes.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { firstPrediction } from './first-prediction.ts';
import { ROOT } from './image-recipe.ts';
import { firstTokenIn, startDeployed } from './serving-process.ts';

const UNIT = readFileSync(join(ROOT, 'deploy/systemd/understudy@.service'), 'utf8');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'understudy-unit-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes the unit as it would be on a machine that has program and Node where these are. */
function install(unit: string): string {
  const here = unit.replaceAll('/usr/bin/node', process.execPath).replaceAll('/opt/understudy/', ROOT);
  writeFileSync(join(folder, 'understudy@.service'), here);
  return join(folder, 'understudy@control.service');
}

function analyze(...args: readonly string[]): { status: number | null; said: string } {
  const { status, stdout, stderr, error } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  return { status, said: stdout + stderr };
}

/** Every call that systemd counts under a name such as @system-service. */
function callsOf(set: string): string[] {
  const { said } = analyze('syscall-filter', set);
  const members = said
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
  return members
    .filter((word) => word !== '' && !word.startsWith('#'))
    .flatMap((word) => (word.startsWith('@') ? callsOf(word) : [word]));
}

describe('deploy/systemd/understudy@.service', () => {
  it('is accepted by systemd without a word', () => {
    expect(analyze('verify', install(UNIT))).toEqual({ status: 0, said: '' });
    expect(analyze('verify', install(UNIT.replace('PrivateUsers', 'PrivateUser'))).said).toContain("Unknown key 'PrivateUser'");
  });

  it('is exposed by 1.5 of 10 at most, as systemd counts', () => {
    // In tenths.
    const review = (unit: string) => analyze('security', '--offline=true', '--threshold=15', install(unit)).status;
    expect(review(UNIT)).toBe(0);
    expect(review(UNIT.replace('CapabilityBoundingSet=\n', ''))).not.toBe(0);
  });

  it('gives each role its own folder and settings, and time for its drain', () => {
    expect(UNIT).toContain('serve --role %i\n');
    for (const line of [
      'EnvironmentFile=/etc/understudy/%i.env',
      'StateDirectory=understudy/%i',
      'WorkingDirectory=%S/understudy/%i',
    ]) {
      expect(UNIT).toContain(`${line}\n`);
    }
    // 5 s of grace and 30 s for what has begun.
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(UNIT)?.[1])).toBeGreaterThan(35);
  });

  it('forbids no system call that starting, predicting and stopping take', { timeout: 60_000 }, async () => {
    const log = join(folder, 'calls');
    const home = join(folder, 'home');
    execFileSync('mkdir', [home]);
    const serving = await startDeployed({
      cwd: home,
      settings: { DRAIN_GRACE_MS: '0' },
      under: ['strace', '-f', '-c', '-S', 'name', '-o', log],
    });
    try {
      const { controlUrl, gatewayUrl, greeting } = serving;
      await firstPrediction({ controlUrl, gatewayUrl, token: firstTokenIn(greeting) });
    } finally {
      expect(await serving.stop()).toBe(0);
    }
    const rows = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => /^ +\d/.test(line));
    const made = rows.map((line) => line.trim().split(/ +/).at(-1) ?? '').filter((name) => name !== 'total');
    expect(made).toContain('epoll_create1');
    expect(UNIT.match(/^SystemCallFilter=.*$/gm)).toEqual(['SystemCallFilter=@system-service', 'SystemCallFilter=~@privileged']);
    const refused = new Set(callsOf('@privileged'));
    const allowed = new Set(callsOf('@system-service').filter((name) => !refused.has(name)));
    // SQLite gives its files to the database's owner, and only as root, which the unit is not.
    if (process.getuid?.() === 0) allowed.add('fchown');
    expect(made.filter((name) => !allowed.has(name))).toEqual([]);
    // Nothing but what we mean to keep: no cache, and no usage data of a library.
    expect(readdirSync(home)).toEqual(['understudy-data']);
  });
});
