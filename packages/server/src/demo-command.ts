/** The command `demo`: the real server on an embedded store in a temporary directory, and three stories told on it. */
import type { Command } from './cli/command.ts';

export const demoCommand: Command = {
  path: 'demo',
  summary: 'Watch a model climb, a harmful one be rolled back, and a late failure undone',
  options: [{ flags: '--once', about: 'End after the three stories; exit code 0 only if all ended as they must.' }],
  examples: ['demo', 'demo --once'],
  endsItself: true,
  async run() {
    throw new Error('being wired');
  },
};
