/** The program: the command line, with the commands that need a server of their own. */
import { runProcess } from './cli/run-process.ts';
import { systemClock } from './clock.ts';
import { processEnvironment, silenceOnnxRuntime } from './config.ts';
import { demoCommand } from './demo-command.ts';
import { importRedisRolloutsCommand } from './import-command.ts';
import { RELEASE } from './release.ts';
import { serveCommand } from './serve.ts';
import { STORE_COMMANDS, storeChecks } from './store-commands.ts';

silenceOnnxRuntime();
const env = processEnvironment();
await runProcess({
  env,
  clock: systemClock,
  release: RELEASE,
  extraCommands: [serveCommand, demoCommand, importRedisRolloutsCommand, ...STORE_COMMANDS],
  localChecks: () => storeChecks(env['UNDERSTUDY_STORE']),
});
