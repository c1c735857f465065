/** Flags of one user in a browser: the server evaluates them, pages hear of changes, a reload begins with what was known. */
import type { Attributes, JsonValue } from '@understudy/core/flags/context';
import { sha1 } from '@understudy/core/flags/sha1';
import { type FlagsStatus, type FlagStanding, openFlagStanding } from './flag-standing.ts';
import { failedAnswer, openOwnFlagValues, type OwnFlagValues, type RawAnswer } from './flag-values.ts';
import { type KeptWriter, openKeptWriter } from '@understudy/feed/kept-writer';
import { type Listeners, openListeners } from './listeners.ts';
import type { FlagsChange } from './open-flags.ts';
import { type FeedPorts, SYSTEM_PORTS } from '@understudy/feed/ports';
import { type TellOnce, tellOnce } from '@understudy/feed/problem';
import type { SdkProblem } from './problem.ts';
import { openRemoteUpstream, type RemoteNews } from './remote-upstream.ts';
import { changedAnswers, readRemoteValues, type RemoteValues } from './remote-values.ts';
import { readAllKept, type SnapshotStorage, writeKept } from '@understudy/feed/snapshot-storage';
import { keepUp } from '@understudy/feed/upkeep';

/** Where flags come from, and whose they are. */
export interface OpenRemoteFlagsOptions {
  /** Base address of the control plane, such as `https://understudy.example`. */
  readonly url: string;
  /** A token with the scope `flags-client`, which is no secret. */
  readonly key: string;
  /** The key of the user, or the user with attributes, `{ key: 'ana', plan: 'pro' }`. */
  readonly context: string | Attributes;
  /** Keeps the last known values over a reload, such as `browserStorage()`; nothing is kept when left out. */
  readonly storage?: SnapshotStorage;
  readonly onProblem?: (problem: SdkProblem) => void;
  /** How long `ready` waits for the server, in milliseconds; 5000 when left out. */
  readonly readyWithinMs?: number;
  /** Milliseconds between polls where streams are cut; 30 000 when left out. */
  readonly pollMs?: number;
}

/** Flags of one user. Asking never throws and never waits. */
export interface RemoteFlags extends OwnFlagValues {
  /** Resolves once values are there, or the first attempt to get them has failed. Never rejects; the status says which. */
  readonly ready: Promise<FlagsStatus>;
  status(): FlagsStatus;
  /**
   * Asks for somebody else. Values of another user are not given for this one: until there are new ones, the defaults.
   * @returns resolves once the server has answered, or the first attempt has failed; never rejects
   */
  setContext(context: string | Attributes): Promise<FlagsStatus>;
  /** Calls back after values changed. @returns stops */
  onChange(listener: (change: RemoteChange) => void): () => void;
  /** Calls back when the state changes. @returns stops */
  onStatus(listener: (status: FlagsStatus) => void): () => void;
  /** Ends the connection. Answers stay what they were. */
  close(): Promise<void>;
}

/** What has changed; the revision is undefined when the server does not tell it. */
export type RemoteChange = Omit<FlagsChange, 'revision'> & { readonly revision: number | undefined };

/** @param ports for tests */
export function openRemoteFlags(options: OpenRemoteFlagsOptions, ports: FeedPorts = SYSTEM_PORTS): RemoteFlags {
  const problems = tellOnce(options.onProblem);
  const parts: SessionParts = { options, ports, problems, writer: openKeptWriter(options.storage, problems.tell) };
  const changes = openListeners<RemoteChange>(problems.tell);
  const statuses = openListeners<FlagsStatus>(problems.tell);
  const begin = (context: string | Attributes, before: Session | undefined): Session => {
    const session = openSession(context, before, { ...parts, changes });
    session.standing.onStatus((status) => statuses.call(status));
    return session;
  };
  let session = begin(options.context, undefined);
  const answer = (flag: string): RawAnswer => {
    const values = session.values();
    if (values === undefined) return failedAnswer('PROVIDER_NOT_READY', 'there are no flags yet');
    return values.answers.get(flag) ?? failedAnswer('FLAG_NOT_FOUND', `there is no flag "${flag}"`, values.revision);
  };
  return {
    ...openOwnFlagValues(answer),
    ready: session.standing.ready,
    status: () => session.standing.status(),
    async setContext(context) {
      const before = session;
      session = begin(context, before);
      const { ready } = session.standing;
      await before.close({ isReplaced: true });
      return await ready;
    },
    onChange: (listener) => changes.add(listener),
    onStatus: (listener) => statuses.add(listener),
    async close() {
      await session.close({ isReplaced: false });
      changes.clear();
      statuses.clear();
    },
  };
}

interface SessionParts {
  readonly options: OpenRemoteFlagsOptions;
  readonly ports: FeedPorts;
  readonly problems: TellOnce<SdkProblem>;
  readonly writer: KeptWriter;
}

/** The time of one context. */
interface Session {
  readonly userKey: JsonValue | undefined;
  readonly standing: FlagStanding;
  values(): RemoteValues | undefined;
  close(why: { readonly isReplaced: boolean }): Promise<void>;
}

type Changes = Pick<Listeners<RemoteChange>, 'call'>;

function openSession(
  asked: string | Attributes,
  before: Session | undefined,
  { options, ports, problems, writer, changes }: SessionParts & { readonly changes: Changes },
): Session {
  const context = ofrepContext(asked);
  const userKey = context['targetingKey'];
  const closing = new AbortController();
  // Other attributes of the same user: what was known is better than nothing until the answer is there.
  let values = before !== undefined && before.userKey === userKey ? before.values() : undefined;
  let knownId: string | undefined;
  const standing = openFlagStanding({
    ...ports,
    tell: problems.tell,
    identity: () => values,
    readyWithinMs: options.readyWithinMs ?? 5000,
  });
  const place = `${options.url} ${sha1(JSON.stringify(context)).map(String).join('.')}`;
  const swap = (id: string, body: string): string | undefined => {
    const reading = readRemoteValues(id, body);
    if (reading.outcome === 'invalid') return reading.problem;
    const flags = changedAnswers(values, reading.values);
    values = reading.values;
    knownId = id === '' ? undefined : id;
    if (flags.length > 0) changes.call({ revision: values.revision, flags });
    return undefined;
  };
  const keep = (id: string, body: string): void =>
    writer.write(writeKept({ url: place, id, keptAtMs: ports.nowMs(), body }), `${place} ${id}`);
  const news = newsOf({ standing, problems, swap, keep, url: options.url }, () => ({ knownId, eventsAt: values?.eventsAt }));

  async function run(): Promise<void> {
    const [kept] = await readAllKept(options.storage, place, problems.tell);
    if (closing.signal.aborted) return;
    if (kept !== undefined && swap(kept.id, kept.body) === undefined) standing.restored(kept.keptAtMs);
    else standing.doubt();
    const upstream = openRemoteUpstream({ ...options, context, news, tell: problems.tell, ports });
    await keepUp(upstream, { pollMs: options.pollMs ?? 30_000 }, { ...ports, signal: closing.signal });
  }

  const running = run();
  return {
    userKey,
    standing,
    values: () => values,
    async close({ isReplaced }) {
      closing.abort();
      if (isReplaced) standing.retire();
      else standing.close();
      await running;
      await writer.idle();
    },
  };
}

interface RemoteNewsParts {
  readonly url: string;
  readonly standing: FlagStanding;
  readonly problems: TellOnce<SdkProblem>;
  /** @returns what is wrong */
  readonly swap: (id: string, body: string) => string | undefined;
  readonly keep: (id: string, body: string) => void;
}

type Known = () => { readonly knownId: string | undefined; readonly eventsAt: string | undefined };

function newsOf({ url, standing, problems, swap, keep }: RemoteNewsParts, known: Known): RemoteNews {
  const confirm = (source: 'stream' | 'poll'): void => {
    problems.isOver();
    standing.confirm(source);
  };
  return {
    knownId: () => known().knownId,
    eventsAt: () => known().eventsAt,
    take(id, body) {
      const problem = swap(id, body);
      if (problem !== undefined) {
        problems.tell({ code: 'snapshot.invalid', message: `the values from ${url} are not used: ${problem}` });
        standing.doubt();
        return false;
      }
      keep(id, body);
      confirm('poll');
      return true;
    },
    confirm,
    lost: () => standing.lost(),
  };
}

/** The user's key is OFREP's targeting key; an attribute without a value is left out. */
function ofrepContext(context: string | Attributes): Readonly<Record<string, JsonValue>> {
  if (typeof context === 'string') return context === '' ? {} : { targetingKey: context };
  const { key, ...attributes } = context;
  const known = Object.entries(attributes).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined);
  return { ...(key === undefined ? {} : { targetingKey: key }), ...Object.fromEntries(known) };
}
