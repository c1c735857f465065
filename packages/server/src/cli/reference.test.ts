import path from 'node:path';
import { expect, it } from 'vitest';
import { importRedisRolloutsCommand } from '../import-command.ts';
import { serveCommand } from '../serve.ts';
import { STORE_COMMANDS } from '../store-commands.ts';
import { allCommands } from './commands.ts';
import { renderReference } from './reference.ts';

// After a change of the commands: vitest run packages/server/src/cli/reference.test.ts --update
it('is what docs/cli.md says', async () => {
  const page = path.resolve(import.meta.dirname, '../../../../docs/cli.md');
  const extra = [serveCommand, importRedisRolloutsCommand, ...STORE_COMMANDS];
  await expect(renderReference(allCommands(extra))).toMatchFileSnapshot(page);
});
