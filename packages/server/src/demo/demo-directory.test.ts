import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDemoDirectory } from './demo-directory.ts';

describe('openDemoDirectory', () => {
  it('is removed with all that is in it, and leaves no listener', async () => {
    const listeners = () => ['exit', 'SIGINT', 'SIGTERM', 'SIGHUP'].map((event) => process.listenerCount(event));
    const before = listeners();
    const directory = await openDemoDirectory(() => undefined);
    await writeFile(join(directory.path, 'token'), 'secret');
    await directory.close();
    expect(existsSync(directory.path)).toBe(false);
    expect(listeners()).toEqual(before);
  });

  it('tells how the process was asked to end', async () => {
    const told: string[] = [];
    const directory = await openDemoDirectory((error) => told.push(error.message));
    process.emit('SIGTERM', 'SIGTERM');
    await directory.close();
    expect(told).toEqual(['the demo was ended by SIGTERM']);
  });
});
