/** Flags that a server evaluates by itself: every answer is local, changes arrive by a stream, a restart begins with what was known. */
import { changedFlags, type CompiledSnapshot, compileSnapshot } from './compiled-snapshot.ts';
import { type FlagsStatus, type FlagStanding, openFlagStanding } from './flag-standing.ts';
import { failedAnswer, type FlagValues, openFlagValues, type RawAnswer } from './flag-values.ts';
import { type KeptWriter, openKeptWriter } from '@understudy/feed/kept-writer';
import { type Listeners, openListeners } from './listeners.ts';
import type { Outcomes } from './outcomes.ts';
import { type FeedPorts, SYSTEM_PORTS } from '@understudy/feed/ports';
import { type TellOnce, tellOnce } from '@understudy/feed/problem';
import type { SdkProblem } from './problem.ts';
import { readAllKept, type SnapshotStorage, writeKept } from '@understudy/feed/snapshot-storage';
import { type DocumentNews, openDocumentUpstream } from '@understudy/feed/document-upstream';
import { SDK_RELEASE } from './release.ts';
import type { Subject } from './subject.ts';
import { keepUp } from '@understudy/feed/upkeep';
import { decideVersion, type VersionDecision } from './version-decision.ts';

/** Where flags come from, and what to do besides. */
export interface OpenFlagsOptions {
  /** Base address of the control plane, such as `http://127.0.0.1:7070`. */
  readonly url: string;
  /** A token with the scope `flags`. A key for browsers is refused: those use `openRemoteFlags`. */
  readonly key: string;
  /** Keeps the last known good flags over a restart; nothing is kept when left out. */
  readonly storage?: SnapshotStorage;
  /** Where decisions on versions report to. */
  readonly outcomes?: Outcomes;
  /** Called with everything that goes wrong; the SDK goes on with what it has. */
  readonly onProblem?: (problem: SdkProblem) => void;
  /** How long `ready` waits for the server, in milliseconds; 5000 when left out. */
  readonly readyWithinMs?: number;
  /** Milliseconds between polls where streams are cut; 10 000 when left out. */
  readonly pollMs?: number;
}

/** What has changed. */
export interface FlagsChange {
  readonly revision: number;
  /** Keys of the flags whose document changed, or one that it refers to. */
  readonly flags: readonly string[];
}

/** Flags of one environment. Asking never throws and never waits. */
export interface Flags extends FlagValues {
  /** The version of a model that serves a subject, as gateways decide it. @param fallback when the flags cannot tell */
  version(model: string, subject: Subject, fallback: string): VersionDecision;
  /** Resolves once flags are there, or the first attempt to get them has failed. Never rejects; the status says which. */
  readonly ready: Promise<FlagsStatus>;
  status(): FlagsStatus;
  /** Calls back after flags were replaced. The beginning of a schedule is no change. @returns stops */
  onChange(listener: (change: FlagsChange) => void): () => void;
  /** Calls back when the state changes. @returns stops */
  onStatus(listener: (status: FlagsStatus) => void): () => void;
  /** Ends the connection, and resolves when everything is kept. Answers stay what they were. */
  close(): Promise<void>;
}

/** Whatever comes on a stream that has told what is the newest says that it still is. */
const FLAGS = {
  path: '/flags/v1',
  about: 'flags',
  headers: { 'x-understudy-sdk': SDK_RELEASE },
  isSilenceConsent: true,
} as const;

/** @param ports for tests */
export function openFlags(options: OpenFlagsOptions, ports: FeedPorts = SYSTEM_PORTS): Flags {
  const problems = tellOnce(options.onProblem);
  const { tell } = problems;
  const closing = new AbortController();
  const content = openContent({ ...ports, tell });
  const standing = openFlagStanding({
    ...ports,
    tell,
    identity: () => content.current()?.snapshot,
    readyWithinMs: options.readyWithinMs ?? 5000,
  });
  const writer = openKeptWriter(options.storage, tell);
  const news = newsOf({ url: options.url, content, standing, writer, problems, nowMs: ports.nowMs });

  async function run(): Promise<void> {
    // Before the server is asked, so that it needs to send only what is newer.
    await restore(options, { content, standing, tell });
    const upstream = openDocumentUpstream({ ...FLAGS, url: options.url, key: options.key, news, tell, ports });
    await keepUp(upstream, { pollMs: options.pollMs ?? 10_000 }, { ...ports, signal: closing.signal });
  }

  const running = run();
  const answer = (flag: string, subject: Subject): RawAnswer =>
    content.current()?.answer(flag, subject) ?? failedAnswer('PROVIDER_NOT_READY', 'there are no flags yet');
  return {
    ...openFlagValues(answer),
    version: (model, subject, fallback) =>
      decideVersion({ model, subject, fallback }, { answer, tell, outcomes: options.outcomes, nowMs: ports.nowMs }),
    ready: standing.ready,
    status: () => standing.status(),
    onChange: (listener) => content.changes.add(listener),
    onStatus: (listener) => standing.onStatus(listener),
    async close() {
      standing.close();
      closing.abort();
      await running;
      await writer.idle();
      content.changes.clear();
    },
  };
}

interface Content {
  current(): CompiledSnapshot | undefined;
  /** @returns what is wrong with it; nothing is replaced then */
  swap(id: string, body: string): string | undefined;
  readonly changes: Listeners<FlagsChange>;
}

function openContent(ports: Pick<FeedPorts, 'nowMs' | 'random'> & Pick<TellOnce<SdkProblem>, 'tell'>): Content {
  const { tell } = ports;
  const changes = openListeners<FlagsChange>(tell);
  let compiled: CompiledSnapshot | undefined;
  return {
    current: () => compiled,
    changes,
    swap(id, body) {
      const compilation = compileSnapshot(id, body, ports);
      if (compilation.outcome === 'invalid') return compilation.problem;
      const before = compiled?.snapshot;
      compiled = compilation.compiled;
      for (const { where, problem } of compiled.problems) tell({ code: 'document.problem', message: `${where}: ${problem}` });
      const flags = changedFlags(before, compiled.snapshot);
      if (flags.length > 0) changes.call({ revision: compiled.snapshot.revision, flags });
      return undefined;
    },
  };
}

interface NewsParts {
  readonly url: string;
  readonly content: Content;
  readonly standing: FlagStanding;
  readonly writer: KeptWriter;
  readonly problems: TellOnce<SdkProblem>;
  readonly nowMs: () => number;
}

function newsOf({ url, content, standing, writer, problems, nowMs }: NewsParts): DocumentNews {
  const confirm = (source: 'stream' | 'poll'): void => {
    problems.isOver();
    standing.confirm(source);
  };
  return {
    knownId: () => content.current()?.id,
    take(id, body, source) {
      if (id !== '' && id === content.current()?.id) {
        confirm(source);
        return true;
      }
      const problem = content.swap(id, body);
      if (problem !== undefined) {
        problems.tell({ code: 'snapshot.invalid', message: `the flags from ${url} are not used: ${problem}` });
        standing.doubt();
        return false;
      }
      writer.write(writeKept({ url, id, keptAtMs: nowMs(), body }), id);
      confirm(source);
      return true;
    },
    confirm,
    lost: () => standing.lost(),
  };
}

/** Begins with the newest flags that were kept from this server and can be used. */
async function restore(
  { storage, url }: OpenFlagsOptions,
  { content, standing, tell }: Pick<NewsParts, 'content' | 'standing'> & Pick<TellOnce<SdkProblem>, 'tell'>,
): Promise<void> {
  for (const { id, body, keptAtMs } of await readAllKept(storage, url, tell)) {
    const problem = content.swap(id, body);
    if (problem === undefined) {
      standing.restored(keptAtMs);
      return;
    }
    tell({ code: 'storage.damaged', message: `flags that were kept are not used: ${problem}` });
  }
}
