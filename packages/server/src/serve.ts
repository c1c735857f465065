/** The command `serve`: starts a process, says where it is, and ends it properly on a signal. */
import type { Command } from './cli/command.ts';
import type { ComposeOptions } from './compose.ts';
import { type Config, ConfigSchema, environmentName, readConfig, settingNames } from './config.ts';

/** Flags are the settings of `config.ts` in kebab case. */
export const serveCommand: Command = {
  path: 'serve',
  summary: 'Run control plane and gateway, or one of them',
  details: [
    'Every flag is also an environment variable: --control-port is',
    `${environmentName('controlPort')}. The first start shows the first admin token, once.`,
  ],
  options: [
    ...settingNames().map((name) => ({ flags: flagOf(name), about: aboutOf(name) })),
    { flags: '--new-admin-token', about: 'Create and show another admin token, when the first one is lost.' },
  ],
  examples: [
    'serve',
    'serve --store sqlite:/var/lib/understudy --host 0.0.0.0',
    'serve --role control --store postgres://understudy@db/understudy',
    'serve --role gateway --control-url http://control:7070 --control-token-file token',
  ],
  endsItself: true,
  async run(session, input) {
    const flags = Object.fromEntries(
      settingNames().map((name) => [name, isSwitch(name) ? input.flag(name) || undefined : input.text(name)]),
    );
    const config = readConfig(flags);
    const { openLog } = await import('./log.ts');
    const log = openLog(config.logLevel);
    const stopped = Promise.withResolvers<number>();
    const onFatal = (error: unknown): void => {
      log.fatal({ err: error }, 'store.failed');
      stopped.resolve(1);
    };
    const understudy = await start(config, { log, onFatal, newAdminToken: input.flag('newAdminToken') });
    session.deps.io.stdout.write(greeting(understudy));
    const stop = (signal: NodeJS.Signals): void => {
      log.info({ signal }, 'process.stopping');
      understudy.drain().then(
        () => stopped.resolve(0),
        (error: unknown) => {
          log.error({ err: error }, 'process.stop_failed');
          stopped.resolve(1);
        },
      );
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
    const code = await stopped.promise;
    if (code !== 0) await understudy.close();
    return code === 0 ? 0 : 1;
  },
};

/** What runs, by its role. */
interface Served {
  readonly controlUrl?: string;
  readonly gatewayUrl?: string;
  readonly adminToken?: string | undefined;
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Each role loads what it needs, and every other command starts without server and database. */
async function start(config: Config, options: ComposeOptions): Promise<Served> {
  switch (config.role) {
    case 'all':
      return (await import('./compose.ts')).startUnderstudy(config, options);
    case 'control': {
      const { url, ...plane } = await (await import('./compose-control.ts')).startControlPlane(config, options);
      return { ...plane, controlUrl: url };
    }
    case 'gateway': {
      const { url, ...gateway } = await (await import('./compose-gateway.ts')).startGateway(config, options);
      return { ...gateway, gatewayUrl: url };
    }
  }
}

function greeting({ controlUrl, gatewayUrl, adminToken }: Served): string {
  const lines = [
    ...(controlUrl === undefined ? [] : [`control plane  ${controlUrl}   (API page: ${controlUrl}/docs)`]),
    ...(gatewayUrl === undefined ? [] : [`gateway        ${gatewayUrl}`]),
  ];
  if (adminToken !== undefined) {
    lines.push('', 'admin token, shown this once:', `  ${adminToken}`, '', 'Keep it with: understudy login');
  }
  return `${lines.join('\n')}\n`;
}

/** A setting that is on or off takes no value. */
function isSwitch(name: keyof typeof ConfigSchema.shape): boolean {
  return typeof ConfigSchema.shape[name].parse(undefined) === 'boolean';
}

function flagOf(name: keyof typeof ConfigSchema.shape): string {
  const kebab = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return isSwitch(name) ? `--${kebab}` : `--${kebab} <value>`;
}

function aboutOf(name: keyof typeof ConfigSchema.shape): string {
  return ConfigSchema.shape[name].meta()?.description ?? '';
}
