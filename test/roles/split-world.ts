/** A control plane and gateways of their own, as `--role control` and `--role gateway` start them, on real sockets and disks. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from '@understudy/contract/client';
import { type ControlPlane, startControlPlane } from '../../packages/server/src/compose-control.ts';
import { type GatewayProcess, startGateway } from '../../packages/server/src/compose-gateway.ts';
import { readConfig } from '../../packages/server/src/config.ts';
import { openLog } from '../../packages/server/src/log.ts';
import { registerExample, until } from '../running-understudy.ts';

export interface SplitGateway {
  readonly name: string;
  readonly url: string;
  /** Its folder. */
  readonly data: string;
  readonly socket: string;
  stop(): Promise<void>;
  /** Ends without a word, as a machine that loses its power does for everybody else. */
  start(settings?: Readonly<Record<string, unknown>>): Promise<void>;
}

export interface SplitWorld extends AsyncDisposable {
  readonly folder: string;
  readonly admin: Client;
  readonly token: string;
  readonly controlUrl: string;
  /** Of the scope `gateway`, named `eu`. */
  readonly gatewayToken: string;
  stopControl(): Promise<void>;
  startControl(): Promise<void>;
  /** Adds a gateway and waits until it serves. */
  addGateway(name: string, settings?: Readonly<Record<string, unknown>>): Promise<SplitGateway>;
}

const log = openLog('silent');

/** One model with its champion, and a challenger at half of the traffic when asked for. */
export async function openSplitWorld({ store }: { readonly store?: string } = {}): Promise<SplitWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-roles-'));
  const onFatal = (error: unknown): never => {
    throw error;
  };
  const openControl = (controlPort: number): Promise<ControlPlane> => {
    const config = { store: store ?? `sqlite:${join(folder, 'control')}`, data: join(folder, 'control'), controlPort };
    return startControlPlane(readConfig({ ...config, role: 'control' }, {}), { log, onFatal });
  };
  let control = await openControl(0);
  let isUp = true;
  const controlUrl = control.url;
  const token = control.adminToken ?? '';
  const admin: Client = (name, input) => createClient({ url: controlUrl, token })(name, input);
  const { secret: gatewayToken } = await admin('createToken', { body: { name: 'eu', scopes: ['gateway'] } });
  await admin('createModel', { body: { name: 'digits', routing: { subject: [{ from: 'header', name: 'x-user-id' }] } } });
  for (const version of ['v1', 'v2', 'v3']) await registerExample(admin, 'digits', version);
  await admin('promoteVersion', { params: { model: 'digits', version: 'v1' }, body: { reason: 'first' } });
  const gateways: SplitGateway[] = [];
  const world: SplitWorld = {
    folder,
    admin,
    token,
    controlUrl,
    gatewayToken,
    async stopControl() {
      isUp = false;
      await control.close();
    },
    async startControl() {
      control = await openControl(Number(new URL(controlUrl).port));
      isUp = true;
    },
    async addGateway(name, settings = {}) {
      const gateway = await openSplitGateway(world, name, settings);
      gateways.push(gateway);
      await until(
        () => fetch(`${gateway.url}/readyz`).then(({ status }) => status),
        (status) => status === 200,
        'a gateway that is ready',
      );
      return gateway;
    },
    async [Symbol.asyncDispose]() {
      for (const gateway of gateways) await gateway.stop();
      if (isUp) await control.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return world;
}

/** A gateway process that need not become ready. */
export async function openSplitGateway(
  world: Pick<SplitWorld, 'folder' | 'controlUrl' | 'gatewayToken'>,
  name: string,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<SplitGateway> {
  const data = join(world.folder, name);
  const controlTokenFile = join(world.folder, `${name}.token`);
  await writeFile(controlTokenFile, `${world.gatewayToken}\n`);
  const open = (gatewayPort: number, more: Readonly<Record<string, unknown>>): Promise<GatewayProcess> => {
    const own = { role: 'gateway', gatewayName: name, data, gatewayPort, drainGraceMs: 0, allowAnonymousPredict: true };
    const config = readConfig({ ...own, controlUrl: world.controlUrl, controlTokenFile, ...settings, ...more }, {});
    return startGateway(config, { log });
  };
  let process: GatewayProcess | undefined = await open(0, {});
  const { url } = process;
  return {
    name,
    url,
    data,
    socket: join(data, 'gateway.sock'),
    async stop() {
      await process?.close();
      process = undefined;
    },
    async start(more = {}) {
      process = await open(Number(new URL(url).port), more);
    },
  };
}
