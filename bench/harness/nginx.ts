// Starts nginx in its two roles: the upstream that answers at once, and a rival proxy in front of it.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './folders.ts';
import { LOAD_CORE, type RunningProcess, SERVER_CORE, startProcess } from './running-process.ts';
import { ensureTool } from './system-tool.ts';
import { freePort, waitForPort } from './tcp-port.ts';

/** What the upstream answers to everything, and what a proxy in front of it must pass on. */
export const UPSTREAM_ANSWER = '{"predictions":[[1]]}';

export interface RunningNginx {
  readonly origin: string;
  readonly process: RunningProcess;
}

/** Shares the load generator's core, so that what is measured has its own to itself. */
export async function startUpstreamNginx(): Promise<RunningNginx> {
  const server = `location / { default_type application/json; return 200 '${UPSTREAM_ANSWER}'; }`;
  return await startNginx({ role: 'upstream', core: LOAD_CORE, server });
}

export async function startProxyNginx(upstreamOrigin: string): Promise<RunningNginx> {
  const upstream = `upstream predictors { server ${new URL(upstreamOrigin).host}; keepalive 64; keepalive_requests 1000000000; }`;
  const server = `location / { proxy_pass http://predictors; proxy_http_version 1.1; proxy_set_header Connection ""; }`;
  return await startNginx({ role: 'proxy', core: SERVER_CORE, server, upstream });
}

interface NginxRequest {
  readonly role: string;
  readonly core: number;
  readonly server: string;
  readonly upstream?: string;
}

async function startNginx({ role, core, server, upstream = '' }: NginxRequest): Promise<RunningNginx> {
  const program = await ensureTool({ program: 'nginx', aptPackage: 'nginx' });
  const folder = await cacheFolder(`nginx-${role}`);
  const port = await freePort();
  const configFile = join(folder, 'nginx.conf');
  await writeFile(configFile, configOf({ port, folder, server, upstream }));
  const args = ['-e', 'stderr', '-p', folder, '-c', configFile];
  const process = await startProcess({ name: `nginx ${role}`, command: program, args, core });
  await waitForPort(port, process);
  return { origin: `http://127.0.0.1:${port}`, process };
}

interface ConfigParts {
  readonly port: number;
  readonly folder: string;
  readonly server: string;
  readonly upstream: string;
}

function configOf({ port, folder, server, upstream }: ConfigParts): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`);
  // keepalive_requests: the default closes each connection after 1,000 requests, which would measure connecting.
  return `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  ${temporary.join(' ')}
  ${upstream}
  server { listen 127.0.0.1:${port}; ${server} }
}
`;
}
