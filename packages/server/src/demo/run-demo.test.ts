import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { AppError } from '@understudy/core/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runDemo } from './run-demo.ts';
import type { StartedServer } from './stage.ts';

let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'understudy-test-'));
  vi.stubEnv('TMPDIR', scratch);
});
afterEach(async () => {
  await rm(scratch, { recursive: true });
});

async function run(wish: { readonly startServer: (directory: string) => Promise<StartedServer>; readonly signal?: AbortSignal }) {
  const stdout = new PassThrough();
  const code = await runDemo({
    once: true,
    io: { stdout, isTty: false, isColored: false, columns: 80 },
    assets: new URL('../../../../examples/models/', import.meta.url),
    signal: wish.signal ?? new AbortController().signal,
    startServer: ({ directory }) => wish.startServer(directory),
  });
  stdout.end();
  return { code, written: await text(stdout), left: await readdir(scratch) };
}

// Nobody answers there: fetch refuses this port.
const SILENT = { controlUrl: 'http://127.0.0.1:9', gatewayUrl: 'http://127.0.0.1:9', adminToken: 'secret' };

describe('runDemo', () => {
  it('says why the server did not start, ends with 1 and leaves nothing behind', async () => {
    const startServer = () => Promise.reject(new AppError('config.invalid', 'cannot listen on port 7070'));
    const { code, written, left } = await run({ startServer });
    expect(code).toBe(1);
    expect(written).toContain('✖ cannot listen on port 7070\n');
    expect(left).toEqual([]);
  });

  it('closes the server when the stage cannot be set', async () => {
    let isClosed = false;
    const close = () => {
      isClosed = true;
      return Promise.resolve();
    };
    const { code, written, left } = await run({ startServer: () => Promise.resolve({ ...SILENT, close }) });
    expect({ code, isClosed, left }).toEqual({ code: 1, isClosed: true, left: [] });
    expect(written).toContain('✖ no answer from http://127.0.0.1:9');
  });

  it('ends with 130 on Ctrl-C, even when the server does not close', async () => {
    const abort = new AbortController();
    const close = () => new Promise<void>(() => undefined);
    const startServer = () => {
      abort.abort(new Error('Ctrl-C'));
      return Promise.resolve({ ...SILENT, close });
    };
    const startMs = performance.now();
    const { code, left } = await run({ startServer, signal: abort.signal });
    expect({ code, left }).toEqual({ code: 130, left: [] });
    expect(performance.now() - startMs).toBeLessThan(1000);
  });
});
