/** Understudy as a process of its own, which can be stopped and started again on the same ports and data. Tests with real SDKs depend on it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Client, createClient } from '@understudy/contract/client';
import { startServing } from '../../serving-program.ts';

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
  const settings = { STORE: `sqlite:${directory}`, DRAIN_GRACE_MS: '0' };
  let running = await startServing({ settings });
  const { controlUrl, gatewayUrl } = running;
  const token = running.firstToken();
  const portOf = (url: string): string => new URL(url).port;
  return {
    admin: createClient({ url: controlUrl, token }),
    token,
    controlUrl,
    gatewayUrl,
    stop: async () => void (await running.stop()),
    async start() {
      const ports = { CONTROL_PORT: portOf(controlUrl), GATEWAY_PORT: portOf(gatewayUrl) };
      running = await startServing({ settings: { ...settings, ...ports } });
    },
    async close() {
      await running.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
