/** Every setting of the server, read once from flags and environment and passed down as values. Nothing else reads the environment. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { Name } from '@understudy/contract/documents';
import { describeProblems } from '@understudy/contract/problems';
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';
import { parseStoreAddress } from './store-address.ts';

const Port = z.coerce.number().int().min(0).max(65_535);
const Switch = z.union([z.boolean(), z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1')]);

/** Each setting with its default; `docs/configuration.md` is compared with it. */
export const ConfigSchema = z.strictObject({
  role: z.enum(['all', 'control', 'gateway']).default('all').meta({
    description:
      'What this process is: a control plane with a gateway, a control plane, or a gateway that lives on control planes elsewhere.',
  }),
  controlUrl: z.string().optional().meta({
    description: 'Role gateway: addresses of the control planes, with commas between them. Any of them will do.',
  }),
  controlTokenFile: z.string().min(1).optional().meta({
    description:
      'Role gateway: file with a token that has the scope gateway. Without it the token is read from UNDERSTUDY_CONTROL_TOKEN.',
  }),
  forgetSnapshot: Switch.default(false).meta({
    description:
      'Role gateway: begin without the last known good snapshot. For the first start after the store came back from a backup.',
  }),
  store: z.string().default('sqlite:./understudy-data').meta({
    description:
      'Where state is kept: `sqlite:DIRECTORY`, or `postgres://USER@HOST/DATABASE` or `redis://USER@HOST/NUMBER` for several processes.',
  }),
  data: z.string().min(1).optional().meta({
    description:
      'Folder of the model files, shared by all control planes on one store; of a gateway, its own folder. Unless told, the directory of a `sqlite:` store, else `./understudy-data`.',
  }),
  environment: Name.default('production').meta({ description: 'The environment that this process serves.' }),
  host: z.string().default('127.0.0.1').meta({ description: 'Address to listen on; 0.0.0.0 for every interface.' }),
  controlPort: Port.default(7070).meta({
    description: 'Port of the control plane: API, documentation page, metrics. 0 picks a free one.',
  }),
  gatewayPort: Port.default(7071).meta({ description: 'Port of the gateway: predictions. 0 picks a free one.' }),
  gatewayName: Name.default(nameOf(hostname())).meta({
    description: 'Name of the gateway in reports; the host name unless told.',
  }),
  socket: z.string().min(1).optional().meta({
    description:
      'Unix socket on which whoever is on the machine asks the gateway and throws its kill switch; `gateway.sock` in the folder --data unless told, `none` for none.',
  }),
  stratum: Name.optional().meta({
    description: 'Gateways whose users differ, such as regions, are told apart by this name; their evidence is never added up.',
  }),
  allowAnonymousPredict: Switch.default(false).meta({ description: 'Let requests without a token predict.' }),
  openMetrics: Switch.default(false).meta({
    description: 'Let anybody read /metrics; otherwise a token with the scope read is needed.',
  }),
  maxArtifactMib: z.coerce.number().int().min(1).default(2048).meta({ description: 'Largest model file, in MiB.' }),
  maxInFlight: z.coerce
    .number()
    .int()
    .min(1)
    .default(1024)
    .meta({ description: 'Requests in work at once in the gateway; more are refused with 503.' }),
  evidenceDays: z.coerce.number().min(1).default(14).meta({ description: 'How long evidence is kept.' }),
  mirrorRedis: z.string().optional().meta({
    description:
      'Keep hashes `rollout:{name}` on this Redis server in step, for programs that route by them: `redis://HOST:PORT`.',
  }),
  drainGraceMs: z.coerce
    .number()
    .int()
    .min(0)
    .default(5000)
    .meta({ description: 'After SIGTERM: how long requests are still taken while /readyz says 503.' }),
  logLevel: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .meta({ description: 'What is logged to stderr, as JSON.' }),
});
export type Config = z.infer<typeof ConfigSchema>;

/** The settings by name, as texts from flags or the environment. */
export type ConfigInput = Partial<Record<keyof Config, unknown>>;

/**
 * Puts settings together: flags win over the environment, which wins over defaults.
 * @throws AppError `config.invalid` naming each wrong setting, or for an address of the store that is none
 */
export function readConfig(flags: ConfigInput, environment: NodeJS.ProcessEnv = process.env): Config {
  const fromEnvironment: ConfigInput = {};
  for (const name of settingNames()) {
    const text = environment[environmentName(name)];
    if (text !== undefined && text !== '') fromEnvironment[name] = text;
  }
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const parsed = ConfigSchema.safeParse({ ...fromEnvironment, ...given });
  if (!parsed.success) throw new AppError('config.invalid', `cannot start: ${describeProblems(parsed.error)}`);
  parseStoreAddress(parsed.data.store);
  return parsed.data;
}

/** The environment variable of a setting: `controlPort` is `UNDERSTUDY_CONTROL_PORT`. */
export function environmentName(setting: string): string {
  return `UNDERSTUDY_${setting.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** The process's environment, for the command line, which may not read it by itself. */
export function processEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/**
 * ONNX Runtime 1.30 and newer gathers usage data, in files under the home and the working directory and for an address of its
 * maker, unless told not to before it is loaded. Ours says nothing to anybody. Children inherit it; who wants it sets it to 0.
 */
export function silenceOnnxRuntime(environment: NodeJS.ProcessEnv = process.env): void {
  environment['ORT_DISABLE_TELEMETRY'] ??= '1';
}

export function settingNames(): readonly (keyof Config)[] {
  return ConfigSchema.keyof().options;
}

/**
 * The folder of model files.
 * @throws AppError `config.invalid` when the store's address is none
 */
export function dataDirectory({ store, data }: Pick<Config, 'store' | 'data'>): string {
  if (data !== undefined) return resolve(data);
  const address = parseStoreAddress(store);
  return address.kind === 'sqlite' ? address.directory : resolve('understudy-data');
}

function nameOf(host: string): string {
  const name = host
    .replaceAll(/[^a-z0-9._-]/gi, '-')
    .slice(0, 63)
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/gi, '');
  return name === '' ? 'gateway' : name;
}
