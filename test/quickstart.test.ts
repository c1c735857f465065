// Runs the shell blocks of docs/quickstart.md against a server started as it says, from a folder that has the examples.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../packages/server/src/free-port.contract.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MAIN = join(ROOT, 'packages/server/src/main.ts');

let folder: string;
let server: ChildProcess;
let ports: readonly [control: number, gateway: number];
let token: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-quickstart-'));
  ports = [await freePort(), await freePort()];
  const [control, gateway] = ports;
  const args = ['serve', '--store', `sqlite:${folder}/data`, '--control-port', `${control}`, '--gateway-port', `${gateway}`];
  server = spawn(process.execPath, [MAIN, ...args, '--log-level', 'warn', '--drain-grace-ms', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  token = await tokenOf(server);
  await symlink(join(ROOT, 'examples'), join(folder, 'examples'));
  await writeFile(join(folder, 'token'), token, { mode: 0o600 });
  await writeFile(join(folder, 'understudy'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  await chmod(join(folder, 'understudy'), 0o755);
});
afterAll(async () => {
  server.kill();
  await rm(folder, { recursive: true, force: true });
});

it('does what the quickstart says, block by block', async () => {
  const page = await readFile(join(ROOT, 'docs/quickstart.md'), 'utf8');
  const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text]) => text ?? '');
  expect(blocks.length).toBeGreaterThanOrEqual(7);
  const script = ['set -e', ...blocks].join('\n').replaceAll('127.0.0.1:7071', `127.0.0.1:${ports[1]}`);
  const output = await run(script);
  expect(output).toContain('x-understudy-version: v1');
  expect(output).toContain('digits-1');
  expect(output).toContain('everybody is on v1');
  expect(output).toMatch(/intact/);
}, 60_000);

it('ends cleanly when asked to', async () => {
  const ended = new Promise<number | null>((resolve) => server.once('exit', resolve));
  server.kill('SIGTERM');
  expect(await ended).toBe(0);
});

/** Runs a script to its end; throws with what it wrote when it fails. */
function run(script: string): Promise<string> {
  const env = {
    ...process.env,
    PATH: `${folder}:${process.env['PATH'] ?? ''}`,
    UNDERSTUDY_URL: `http://127.0.0.1:${ports[0]}`,
    UNDERSTUDY_TOKEN_FILE: join(folder, 'token'),
  };
  return new Promise((resolve, reject) => {
    execFile('bash', ['-c', script], { cwd: folder, env, timeout: 50_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`${error.message}\n${stdout}\n${stderr}`));
    });
  });
}

function tokenOf(started: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    started.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const [found] = /us_[\w-]+/.exec(text) ?? [];
      if (found !== undefined) resolve(found);
    });
    started.once('exit', (code) => reject(new Error(`the server ended with ${String(code)}: ${text}`)));
  });
}
