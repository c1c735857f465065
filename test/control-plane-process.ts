/** Control planes as processes of their own, whose clocks can be set. */
import { existsSync, writeFileSync } from 'node:fs';
import { CHILD_ENVIRONMENT } from '../packages/server/src/storage/crash/child-environment.contract.ts';
import { type ServingProgram, startServing } from './serving-program.ts';

export interface PlaneOptions {
  readonly store: string;
  readonly data: string;
  readonly name: string;
  /** A file whose content shifts the process's clock, such as `+3600`; absent: its clock is right. */
  readonly clockFile?: string;
}

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

/** Whether clocks can be set here. */
export const HAS_FAKETIME = existsSync(FAKETIME);
if (!HAS_FAKETIME) process.stderr.write('faketime is not installed: clocks that are wrong are NOT tested in this run\n');

export async function startControlPlane({ store, data, name, clockFile }: PlaneOptions): Promise<ServingProgram> {
  const settings = { STORE: store, DATA: data, GATEWAY_NAME: name, LOG_LEVEL: 'silent', DRAIN_GRACE_MS: '0' };
  const env = { ...CHILD_ENVIRONMENT, ...(clockFile === undefined ? {} : misled(clockFile)) };
  return startServing({ settings, env });
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
