import { expect, it } from 'vitest';
import { examineRedis } from './redis-doctor.ts';
import { startRedis } from './redis-faults/redis-server.contract.ts';
import { describeRedis } from './redis-faults/redis-suite.contract.ts';

describeRedis('examining a server', () => {
  it.each([
    { name: 'nothing where all is well', settings: [], states: ['ok', 'ok'], fixes: [] },
    {
      name: 'what could be lost',
      settings: ['--appendfsync', 'everysec'],
      states: ['ok', 'warning'],
      fixes: [expect.stringContaining('appendfsync always')],
    },
    {
      name: 'what cannot keep state',
      settings: ['--maxmemory-policy', 'allkeys-lru'],
      states: ['ok', 'problem'],
      fixes: [expect.stringContaining('noeviction')],
    },
  ])('finds $name, and says the password to nobody', async ({ settings, states, fixes }) => {
    const server = await startRedis({ settings });
    server.cli('acl', 'setuser', 'ada', 'on', '>secret', '~*', '&*', '+@all');
    const findings = await examineRedis(server.url.replace('//', '//ada:secret@'));
    await server.close();
    expect(findings.map(({ state }) => state)).toEqual(states);
    expect(findings.flatMap(({ fix }) => (fix === undefined ? [] : [fix]))).toEqual(fixes);
    expect(JSON.stringify(findings)).not.toContain('secret');
  });
});
