/** The demo's directory: it does not outlive the process, however that ends. `run-demo.ts` depends on it. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DemoFailure } from './waiting.ts';

export interface DemoDirectory {
  readonly path: string;
  /** Removes it. */
  close(): Promise<void>;
}

const REMOVAL = { recursive: true, force: true, maxRetries: 5 } as const;
const ENDINGS = ['SIGTERM', 'SIGHUP'] as const;

/** @param onEnding told when the process is asked to end in another way than by Ctrl-C */
export async function openDemoDirectory(onEnding: (error: Error) => void): Promise<DemoDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'understudy-demo-'));
  // The program may end at once, for example because whoever read its output has gone.
  const onExit = (): void => rmSync(path, REMOVAL);
  const onSignal = (signal: NodeJS.Signals): void => onEnding(new DemoFailure(`the demo was ended by ${signal}`));
  // The first Ctrl-C reaches the demo by another way; a second one must not cut the clearing up short.
  const onInterrupt = (): void => undefined;
  process.once('exit', onExit);
  process.on('SIGINT', onInterrupt);
  for (const signal of ENDINGS) process.on(signal, onSignal);
  return {
    path,
    async close() {
      await rm(path, REMOVAL);
      process.removeListener('exit', onExit);
      process.removeListener('SIGINT', onInterrupt);
      for (const signal of ENDINGS) process.removeListener(signal, onSignal);
    },
  };
}
