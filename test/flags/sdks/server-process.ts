/** Understudy as a process of its own, which can be stopped and started again on the same ports and data. Tests with real SDKs depend on it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Client, createClient } from '@understudy/contract/client';

const MAIN = path.resolve(import.meta.dirname, '../../../packages/server/src/main.ts');
const READY = /^control plane +(\S+).*\ngateway +(\S+)\n/m;
const TOKEN = /\bus_[\w-]+/;

export interface ServerProcess {
  readonly admin: Client;
  readonly token: string;
  readonly controlUrl: string;
  readonly gatewayUrl: string;
  /** Ends the process as an operator does, with SIGTERM, and waits until it is gone. */
  stop(): Promise<void>;
  /** Starts it again; the ports are those of the first start. */
  start(): Promise<void>;
  /** Ends it and deletes its data. */
  close(): Promise<void>;
}

/** Starts a new installation on free ports. */
export async function openServerProcess(): Promise<ServerProcess> {
  const directory = await mkdtemp(path.join(tmpdir(), 'understudy-sdks-'));
  let running = await launch(directory, ['0', '0']);
  const { controlUrl, gatewayUrl, token } = running;
  if (token === undefined) throw new Error('the first start showed no token');
  const ports = [controlUrl, gatewayUrl].map((url) => new URL(url).port);
  const stop = async (): Promise<void> => {
    if (running.child.exitCode !== null || running.child.signalCode !== null) return;
    const gone = once(running.child, 'exit');
    running.child.kill('SIGTERM');
    await gone;
  };
  return {
    admin: createClient({ url: controlUrl, token }),
    token,
    controlUrl,
    gatewayUrl,
    stop,
    async start() {
      running = await launch(directory, ports);
    },
    async close() {
      await stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

interface Launched {
  readonly child: ChildProcess;
  readonly controlUrl: string;
  readonly gatewayUrl: string;
  readonly token: string | undefined;
}

async function launch(directory: string, [control = '0', gateway = '0']: readonly string[]): Promise<Launched> {
  const ports = ['--control-port', control, '--gateway-port', gateway];
  const args = [MAIN, 'serve', '--store', `sqlite:${directory}`, ...ports, '--log-level', 'warn', '--drain-grace-ms', '0'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const { promise, resolve, reject } = Promise.withResolvers<Launched>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    const [, controlUrl, gatewayUrl] = READY.exec(output) ?? [];
    if (controlUrl === undefined || gatewayUrl === undefined) return;
    // One write of the process holds the addresses and, on a first start, the token.
    resolve({ child, controlUrl, gatewayUrl, token: TOKEN.exec(output)?.[0] });
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.once('exit', (code) => reject(new Error(`understudy ended with code ${code}: ${output}`)));
  return await promise;
}
