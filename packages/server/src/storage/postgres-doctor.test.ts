import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examinePostgres } from './postgres-doctor.ts';
import { isSkipped, startPostgres, type TestServer } from './postgres-server.contract.ts';

describe.skipIf(isSkipped)('examining a server', () => {
  let careless: TestServer;
  beforeAll(async () => {
    careless = await startPostgres(['fsync = off', 'full_page_writes = off', 'default_transaction_read_only = on']);
  }, 60_000);
  afterAll(() => careless.close());

  it('finds what breaks the promises of the store', async () => {
    const findings = await examinePostgres(careless.newAddress());
    const problems = findings.filter(({ state }) => state === 'problem').map(({ fix }) => fix);
    expect(problems).toEqual(['set fsync = on', 'set full_page_writes = on', 'give the address of the primary']);
  });

  it('says how durable acknowledged changes are', async () => {
    const findings = await examinePostgres(careless.newAddress());
    expect(findings.filter(({ state }) => state === 'ok').map(({ detail }) => detail)).toEqual([
      expect.stringContaining('PostgreSQL'),
      expect.stringContaining('one server'),
    ]);
  });
});
