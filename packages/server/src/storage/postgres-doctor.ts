/** What a PostgreSQL server's settings mean for what the store promises. `understudy doctor` shows it. */
import { z } from 'zod';
import { parsePostgresAddress } from './postgres-address.ts';
import { openPostgresConnection } from './postgres-connection.ts';
import type { StoreFinding } from './store-finding.ts';

const Settings = z.object({
  version: z.int(),
  fsync: z.string(),
  full_page_writes: z.string(),
  data_checksums: z.string(),
  is_standby: z.boolean(),
  read_only: z.string(),
  standbys: z.string(),
});
const OLDEST_VERSION = 120_000;
const DEADLINE_MS = 5000;

/** Looks at the server without changing anything. @throws AppError when nobody answers or the address is wrong */
export async function examinePostgres(address: string): Promise<readonly StoreFinding[]> {
  const connection = openPostgresConnection(parsePostgresAddress(address), { deadlineMs: DEADLINE_MS });
  try {
    const text = `
      SELECT current_setting('server_version_num')::int AS version, current_setting('fsync') AS fsync,
        current_setting('full_page_writes') AS full_page_writes, current_setting('data_checksums') AS data_checksums, pg_is_in_recovery() AS is_standby,
        current_setting('default_transaction_read_only') AS read_only,
        coalesce(current_setting('synchronous_standby_names', true), '') AS standbys`;
    const [row] = await connection.repeat(`look at the store ${connection.address.shown}`, { text });
    return findingsOf(Settings.parse(row), connection.address.shown);
  } finally {
    await connection.close();
  }
}

function findingsOf(found: z.infer<typeof Settings>, shown: string): readonly StoreFinding[] {
  const findings: StoreFinding[] = [
    { state: 'ok', detail: `${shown} answers, PostgreSQL ${Math.floor(found.version / 10_000)}` },
  ];
  const problem = (detail: string, fix: string) => findings.push({ state: 'problem', detail, fix });
  if (found.version < OLDEST_VERSION) problem('the server is older than PostgreSQL 12', 'upgrade it');
  if (found.fsync !== 'on') problem('fsync is off: a crash of the server loses acknowledged changes', 'set fsync = on');
  if (found.full_page_writes !== 'on') {
    problem('full_page_writes is off: a power cut can damage the database', 'set full_page_writes = on');
  }
  if (found.is_standby || found.read_only === 'on') {
    problem('the server is read-only', 'give the address of the primary');
  }
  if (found.data_checksums !== 'on') {
    findings.push({
      state: 'warning',
      detail: 'pages have no checksums: what a failing disk changes in them may be believed until the journal is checked',
      fix: 'stop the server, run pg_checksums --enable, and start it again',
    });
  }
  const isAlone = found.standbys === '';
  const durability = isAlone
    ? 'acknowledged changes are on the disk of one server; a failover to an asynchronous standby may lose the newest'
    : `acknowledged changes are on synchronous standbys too (${found.standbys})`;
  findings.push({ state: 'ok', detail: durability });
  return findings;
}
