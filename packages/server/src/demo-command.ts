/** The command `demo`: the real server on an embedded store in a temporary directory, and three stories told on it. */
import { join } from 'node:path';
import type { Command } from './cli/command.ts';
import type { ExitCode } from './cli/exit-codes.ts';
import { wantsColor } from './cli/palette.ts';
import type { Session } from './cli/session.ts';
import { readConfig } from './config.ts';

const MODELS = new URL('../../../examples/models/', import.meta.url);

export const demoCommand: Command = {
  path: 'demo',
  summary: 'Watch a model climb, a harmful one be rolled back, and a late failure undone',
  details: [
    'The real server on an embedded store in a temporary directory, with real models and',
    'real traffic. Ends with Ctrl-C.',
  ],
  options: [{ flags: '--once', about: 'end after the stories; exit code 0 only if all ended as they must' }],
  examples: ['demo', 'demo --once'],
  endsItself: true,
  run: (session, input) => demo(session, input.flag('once')),
};

async function demo(session: Session, once: boolean): Promise<ExitCode> {
  // Loaded only here: every other command starts without server and database.
  const [{ startUnderstudy }, { openLog }, { runDemo }] = await Promise.all([
    import('./compose.ts'),
    import('./log.ts'),
    import('./demo/run-demo.ts'),
  ]);
  const { io, env } = session.deps;
  const code = await runDemo({
    once,
    io: { stdout: io.stdout, isTty: io.isTty, isColored: wantsColor({ env, isTty: io.isTty, flag: true }), columns: io.columns },
    assets: MODELS,
    signal: session.signal,
    async startServer({ directory }) {
      const wanted = { store: `sqlite:${join(directory, 'data')}`, logLevel: 'silent', drainGraceMs: 0 };
      const options = {
        log: openLog('silent'),
        onFatal: (error: unknown): never => {
          throw error;
        },
      };
      // The usual ports, so that what the demo shows can be typed; others when somebody has them.
      const server = await startUnderstudy(readConfig(wanted), options).catch(() =>
        startUnderstudy(readConfig({ ...wanted, controlPort: 0, gatewayPort: 0 }), options),
      );
      if (server.adminToken === undefined) throw new Error('the directory of the demo was not empty');
      return { ...server, adminToken: server.adminToken };
    },
  });
  return code === 0 ? 0 : code === 130 ? 130 : 1;
}
