// Installs and starts the proxies we are compared with: two from npm and nginx, all in front of the same upstream.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Contestant } from '../harness/contestant.ts';
import { RIVALS_FOLDER } from '../harness/folders.ts';
import { ensureInstalled } from '../harness/installation.ts';
import { startProxyNginx, UPSTREAM_ANSWER } from '../harness/nginx.ts';
import { runCommand, type RunningProcess, SERVER_CORE, startProcess } from '../harness/running-process.ts';
import { ensureTool } from '../harness/system-tool.ts';
import { freePort, waitForPort } from '../harness/tcp-port.ts';

const INSTALL_DEADLINE_MS = 300_000;
const SOURCE_FOLDER = join(RIVALS_FOLDER, 'npm-proxy');
const FILES = ['package.json', 'package-lock.json', 'http-proxy-server.js', 'fast-proxy-server.js'] as const;
const PATH = '/v1/models/digits:predict';

const NPM_PROXIES = [
  { name: 'http-proxy', file: 'http-proxy-server.js', mode: [] },
  { name: 'fast-proxy', file: 'fast-proxy-server.js', mode: ['http'] },
  { name: 'fast-proxy (undici)', file: 'fast-proxy-server.js', mode: ['undici'] },
] as const;

/** Every npm rival, each a node process on the Node that runs the benchmark. */
export async function startNpmProxies(upstreamOrigin: string): Promise<readonly Contestant[]> {
  const folder = await ensureNpmProxies();
  const proxies: Contestant[] = [];
  for (const { name, file, mode } of NPM_PROXIES) {
    const port = await freePort();
    const args = [join(folder, file), String(port), upstreamOrigin, ...mode];
    const server = await startProcess({ name, command: process.execPath, args, core: SERVER_CORE });
    await waitForPort(port, server);
    proxies.push(proxyContestant(name, `http://127.0.0.1:${port}`, server));
  }
  return proxies;
}

export async function startNginxRival(upstreamOrigin: string): Promise<Contestant> {
  const nginx = await startProxyNginx(upstreamOrigin);
  return proxyContestant('nginx', nginx.origin, nginx.process);
}

/** What is wrong with an answer that came through a proxy; shared with our own server in this contest. */
export function upstreamComplaint(answer: unknown): string | undefined {
  return JSON.stringify(answer) === UPSTREAM_ANSWER ? undefined : `expected ${UPSTREAM_ANSWER}`;
}

function proxyContestant(name: string, origin: string, server: RunningProcess): Contestant {
  return { name, url: origin + PATH, headers: {}, pids: [server.pid], complaintAbout: upstreamComplaint, stop: server.stop };
}

async function ensureNpmProxies(): Promise<string> {
  const npm = await ensureTool({ program: 'npm', aptPackage: 'npm' });
  const folder = await ensureInstalled({
    name: 'npm-proxy',
    versionsFile: join(SOURCE_FOLDER, 'package-lock.json'),
    needs: 'npm and a package registry',
    install: async (target) => {
      await copyFiles(target);
      const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
      await runCommand({ name: 'npm ci', command: npm, args, cwd: target }, INSTALL_DEADLINE_MS);
    },
  });
  // Also when it was installed before: the servers themselves may have changed.
  await copyFiles(folder);
  return folder;
}

async function copyFiles(folder: string): Promise<void> {
  for (const file of FILES) await copyFile(join(SOURCE_FOLDER, file), join(folder, file));
}
