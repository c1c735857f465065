// Runs the shell blocks of docs/quickstart.md against a server started as it says, from a folder that has the examples.
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ServingProgram, startServing } from './serving-program.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MAIN = join(ROOT, 'packages/server/src/main.ts');

let folder: string;
let server: ServingProgram;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-quickstart-'));
  server = await startServing({ settings: { STORE: `sqlite:${folder}/data`, DRAIN_GRACE_MS: '0' } });
  await symlink(join(ROOT, 'examples'), join(folder, 'examples'));
  await writeFile(join(folder, 'token'), server.firstToken(), { mode: 0o600 });
  await writeFile(join(folder, 'understudy'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  await chmod(join(folder, 'understudy'), 0o755);
});
afterAll(async () => {
  await server.kill();
  await rm(folder, { recursive: true, force: true });
});

it('does what the quickstart says, block by block', async () => {
  const page = await readFile(join(ROOT, 'docs/quickstart.md'), 'utf8');
  const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text]) => text ?? '');
  expect(blocks.length).toBeGreaterThanOrEqual(7);
  const script = ['set -e', ...blocks].join('\n').replaceAll('127.0.0.1:7071', new URL(server.gatewayUrl).host);
  const output = await run(script);
  expect(output).toContain('x-understudy-version: v1');
  expect(output).toContain('digits-1');
  expect(output).toContain('everybody is on v1');
  expect(output).toMatch(/intact/);
}, 60_000);

it('ends cleanly when asked to', async () => {
  expect(await server.stop()).toBe(0);
});

/** Runs a script to its end; throws with what it wrote when it fails. */
function run(script: string): Promise<string> {
  const env = {
    ...process.env,
    PATH: `${folder}:${process.env['PATH'] ?? ''}`,
    UNDERSTUDY_URL: server.controlUrl,
    UNDERSTUDY_TOKEN_FILE: join(folder, 'token'),
  };
  return new Promise((resolve, reject) => {
    execFile('bash', ['-c', script], { cwd: folder, env, timeout: 50_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`${error.message}\n${stdout}\n${stderr}`));
    });
  });
}
