/** Control planes as processes of their own, for tests that stop, kill and mislead them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CHILD_ENVIRONMENT } from '../packages/server/src/storage/crash/child-environment.contract.ts';

export interface ControlPlane {
  readonly url: string;
  /** The first admin token, when this start made it. */
  readonly adminToken: string | undefined;
  readonly signal: (signal: 'SIGSTOP' | 'SIGCONT') => void;
  /** Asks it to end, and waits. */
  readonly stop: () => Promise<number | null>;
  /** Ends without any warning. */
  readonly kill: () => Promise<void>;
}

export interface PlaneOptions {
  readonly store: string;
  readonly data: string;
  readonly name: string;
  /** A file whose content shifts the process's clock, such as `+3600`; absent: its clock is right. */
  readonly clockFile?: string;
}

const PROGRAM = fileURLToPath(new URL('../packages/server/bin/understudy.js', import.meta.url));
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

/** Whether clocks can be set here. */
export const HAS_FAKETIME = existsSync(FAKETIME);
if (!HAS_FAKETIME) process.stderr.write('faketime is not installed: clocks that are wrong are NOT tested in this run\n');

const GREETING = /control plane {2}(\S+)[\s\S]*gateway {2}.*\n/;

/** Starts `understudy serve` on free ports and waits until it greets. */
export async function startControlPlane({ store, data, name, clockFile }: PlaneOptions): Promise<ControlPlane> {
  const settings = { STORE: store, DATA: data, CONTROL_PORT: '0', GATEWAY_PORT: '0', GATEWAY_NAME: name, LOG_LEVEL: 'silent' };
  const named = Object.entries({ ...settings, DRAIN_GRACE_MS: '0' }).map(([key, value]) => [`UNDERSTUDY_${key}`, value] as const);
  const env = { ...CHILD_ENVIRONMENT, ...Object.fromEntries(named), ...(clockFile === undefined ? {} : misled(clockFile)) };
  const child = spawn(process.execPath, [PROGRAM, 'serve'], { stdio: ['ignore', 'pipe', 'pipe'], env });
  const killWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const ended = once(child, 'close').finally(() => process.removeListener('exit', killWithUs));
  const greeting = await greetingOf(child, ended);
  return {
    url: GREETING.exec(greeting)?.[1] ?? '',
    adminToken: /shown this once:\s+(\S+)/.exec(greeting)?.[1],
    signal: (signal) => void child.kill(signal),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      return child.exitCode;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Timers go on as they should: only what the process takes for the time of day is wrong. */
function misled(clockFile: string): Record<string, string> {
  writeFileSync(clockFile, '+0\n', { flag: 'a' });
  return {
    LD_PRELOAD: FAKETIME,
    FAKETIME_TIMESTAMP_FILE: clockFile,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
}

async function greetingOf(child: ChildProcess, ended: Promise<unknown>): Promise<string> {
  let output = '';
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-4000)));
  const greeted = new Promise<void>((resolve) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (GREETING.test(output)) resolve();
    });
  });
  const isGone = await Promise.race([greeted.then(() => false), ended.then(() => true)]);
  if (isGone) throw new Error(`the control plane does not start: ${errors}`);
  // The token comes with the same line of output or not at all.
  return output;
}
