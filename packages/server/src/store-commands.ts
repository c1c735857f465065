/** The commands `store …`: copy, back up, restore and verify state. They open the store themselves; no server is asked. */
import type { Command, Input } from './cli/command.ts';
import type { Check, Session } from './cli/session.ts';
import { isAppError } from '@understudy/core/errors';
import { readConfig } from './config.ts';
import { RELEASE } from './release.ts';
import { parseStoreAddress, type StoreAddress, withoutPassword } from './store-address.ts';
import type { Progress } from './storage/store-copy.ts';
import type { DumpSummary } from './storage/dump-check.ts';
import type { StoreFinding } from './storage/store-finding.ts';

const STORE_OPTION = { flags: '--store <address>', about: 'the store; UNDERSTUDY_STORE or its default when left out' };
const PROGRESS_EVERY = 10_000;

export const STORE_COMMANDS: readonly Command[] = [
  {
    path: 'store copy',
    summary: 'Copy everything in one store into another, empty one',
    details: [
      'Stop the servers on both first: what changes meanwhile is not copied. All of it',
      'arrives, or nothing: the hash chain of the journal is checked on the way, and what',
      'arrived is read back and compared. Copy the folder of model files yourself.',
    ],
    arguments: [
      { name: 'from', about: 'address of the store to read' },
      { name: 'to', about: 'address of the empty store to fill' },
    ],
    examples: ['store copy sqlite:./understudy-data postgres://understudy@db.internal/understudy'],
    run: copy,
  },
  {
    path: 'store backup',
    summary: 'Write everything in a store into one file',
    details: [
      'A store in PostgreSQL is read as it is at one moment while servers go on; with SQLite',
      'and Redis the servers have to be stopped. The file holds the key of request ids and digests of',
      'tokens: keep it as you keep secrets. Model files are not in it.',
    ],
    arguments: [{ name: 'file', about: 'a file that does not exist yet' }],
    options: [STORE_OPTION],
    examples: ['store backup understudy.backup', 'store backup monday.backup --store sqlite:/var/lib/understudy'],
    run: backup,
  },
  {
    path: 'store restore',
    summary: 'Fill an empty store from a backup',
    details: ['All of it arrives, or nothing: a damaged backup is refused. Any backend takes any backup.'],
    arguments: [{ name: 'file', about: 'what `store backup` wrote' }],
    options: [STORE_OPTION],
    examples: ['store restore understudy.backup --store postgres://understudy@db.internal/understudy'],
    run: restore,
  },
  {
    path: 'store verify',
    summary: 'Check the hash chain of every journal, and all records',
    details: ['Notes of the head hashes, kept elsewhere, show later that nothing was cut off.'],
    options: [STORE_OPTION],
    examples: ['store verify', 'store verify --store postgres://understudy@db.internal/understudy --json'],
    run: verify,
  },
];

async function copy(session: Session, input: Input): Promise<void> {
  const { openDump, copyStore } = await load();
  const [source, target] = [input.argument('from'), input.argument('to')];
  await using from = closing(await openDump(source));
  await using to = closing(await openDump(target));
  const summary = await copyStore(from.opened, to.opened, progressTo(session));
  await show(session, summary, { done: 'copied', from: withoutPassword(source), to: withoutPassword(target) });
}

async function backup(session: Session, input: Input): Promise<void> {
  const { openDump, writeBackup, checkedRecords } = await load();
  const { store } = readConfig({ store: input.text('store') });
  const file = input.argument('file');
  await using from = closing(await openDump(store));
  const { records, summary } = checkedRecords(from.opened.dump(), progressTo(session));
  await writeBackup(file, records, { release: RELEASE, atMs: session.deps.clock.nowMs() });
  await show(session, summary(), { done: 'backed up', from: withoutPassword(store), to: file });
}

async function restore(session: Session, input: Input): Promise<void> {
  const { openDump, copyStore, readBackup } = await load();
  const { store } = readConfig({ store: input.text('store') });
  const file = input.argument('file');
  await using to = closing(await openDump(store));
  const summary = await copyStore({ dump: () => readBackup(file) }, to.opened, progressTo(session));
  await show(session, summary, { done: 'restored', from: file, to: withoutPassword(store) });
}

async function verify(session: Session, input: Input): Promise<void> {
  const { openDump, summaryOf } = await load();
  const { store } = readConfig({ store: input.text('store') });
  await using from = closing(await openDump(store));
  const summary = await summaryOf(from.opened, progressTo(session));
  await show(session, summary, { done: 'verified', from: withoutPassword(store) });
}

/** For `understudy doctor`: what the server's settings mean, where this machine is told of a store behind a network. */
export async function storeChecks(store: string | undefined): Promise<readonly Check[]> {
  if (store === undefined || store === '') return [];
  try {
    const address = parseStoreAddress(store);
    if (address.kind === 'sqlite') return [];
    return (await findingsOf(address)).map((finding) => ({ name: 'store', ...finding }));
  } catch (error) {
    if (!isAppError(error)) throw error;
    return [
      { name: 'store', state: 'problem', detail: error.message, fix: 'see docs/how-to/postgresql.md and docs/how-to/redis.md' },
    ];
  }
}

async function findingsOf(address: Exclude<StoreAddress, { kind: 'sqlite' }>): Promise<readonly StoreFinding[]> {
  switch (address.kind) {
    case 'postgres': {
      const { examinePostgres } = await import('./storage/postgres-doctor.ts');
      return examinePostgres(address.url);
    }
    case 'redis': {
      const { examineRedis } = await import('./storage/redis-doctor.ts');
      return examineRedis(address.url);
    }
  }
}

interface What {
  readonly done: string;
  readonly from: string;
  readonly to?: string;
}

async function show({ output }: Session, summary: DumpSummary, what: What): Promise<void> {
  await output.show({
    data: { ...what, ...summary },
    text: ({ done, from, to, records, sha256, environments }) => {
      const heads = environments.map(({ environment, revision, head }) => `  ${environment}  revision ${revision}  head ${head}`);
      const first = `${done}: ${from}${to === undefined ? '' : ` → ${to}`}, ${records} records, sha256 ${sha256}`;
      return [first, ...heads].join('\n');
    },
    names: ({ environments }) => environments.map(({ environment }) => environment),
  });
}

/** Lines on stderr: what is going on can take minutes. */
function progressTo(session: Session): Progress {
  return (phase, records) => {
    if (records % PROGRESS_EVERY === 0) session.note(`${phase}: ${records} records`);
  };
}

function closing<T extends { close(): Promise<void> }>(opened: T): AsyncDisposable & { readonly opened: T } {
  return { opened, [Symbol.asyncDispose]: () => opened.close() };
}

/** Loaded only here: every other command starts without a database. */
async function load() {
  const [{ openDump }, { copyStore, checkedRecords, summaryOf }, { readBackup, writeBackup }] = await Promise.all([
    import('./storage/open-store.ts'),
    import('./storage/store-copy.ts'),
    import('./storage/backup-file.ts'),
  ]);
  return { openDump, copyStore, checkedRecords, summaryOf, readBackup, writeBackup };
}
