/**
 * A gateway's connection to control planes that are elsewhere: the snapshot by stream or poll, kept on disk for a start without
 * them; reports; model files. Any of the control planes will do.
 */
import type { GatewayReport } from '@understudy/contract/report';
import type { SnapshotFacts, SnapshotFollower, SnapshotSource } from '@understudy/core/snapshot-follower';
import { type DocumentNews, openDocumentUpstream } from '@understudy/feed/document-upstream';
import { openKeptWriter } from '@understudy/feed/kept-writer';
import type { FeedPorts } from '@understudy/feed/ports';
import { type FeedProblem, sentenceOf, type TellFeedProblem, tellOnce } from '@understudy/feed/problem';
import { readAllKept, type SnapshotStorage, writeKept } from '@understudy/feed/snapshot-storage';
import { keepUp, type Upstream } from '@understudy/feed/upkeep';
import { ReportRefused } from '../report-refused.ts';
import { fetchArtifact } from './artifact-download.ts';
import { readGatewayDocument } from './gateway-document.ts';
import { openReportPost } from './report-post.ts';
import { rotating } from './rotating-upstream.ts';

export interface ControlLinkOptions {
  /** Base addresses of control planes on one store; at least one. */
  readonly urls: readonly string[];
  /** A token with the scope `gateway`. */
  readonly token: string;
  readonly release: string;
  /** Where the last known good snapshot is kept. */
  readonly storage: SnapshotStorage;
  /** Begins without what was kept: a store that came back from a backup may be behind it. */
  readonly forget: boolean;
  readonly ports: FeedPorts;
  /** An event with fields, never a sentence. */
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Begins with what was kept on disk, at once, and then with whatever a control plane says. Only one may follow. */
export interface ControlLink extends SnapshotSource {
  /** @throws ReportRefused when it will never be taken; any other error when it may be sent again */
  report(report: GatewayReport, signal: AbortSignal): Promise<void>;
  /** A model file. @throws AppError `artifact.not_found` when no control plane that answers has it */
  artifact(sha256: string): Promise<AsyncIterable<Uint8Array>>;
  /** Ends the connection, and resolves when everything is kept. */
  close(): Promise<void>;
}

// Where streams are cut on the way.
const POLL_MS = 2000;
// Control planes send something every two seconds.
const IDLE_MS = 7000;
/** What is kept belongs to this gateway, whichever control plane it came from. */
const KEPT_FROM = 'control-plane';

export async function openControlLink(options: ControlLinkOptions): Promise<ControlLink> {
  const { urls, token, release, storage, forget, ports, log } = options;
  const tell = ({ code, message }: FeedProblem): void => log('control.problem', { code, message });
  const problems = tellOnce<FeedProblem>(tell);
  const reportProblems = tellOnce<FeedProblem>(tell);
  const post = openReportPost({ urls, token, fetch: ports.fetch });
  const kept = forget ? [] : await readAllKept(storage, KEPT_FROM, problems.tell);
  const closing = new AbortController();
  const writer = openKeptWriter(storage, problems.tell);
  let running: Promise<void> = Promise.resolve();
  const headers = { 'x-understudy-gateway': release };
  return {
    subscribe(follower) {
      const state = openState(follower, ports);
      for (const { id, body, keptAtMs } of kept) {
        if (state.take(id, body, { origin: 'last-known-good', asOfMs: keptAtMs })) break;
      }
      const news: DocumentNews = {
        knownId: () => state.id,
        take(id, body) {
          if (id === '' || id !== state.id) {
            if (!state.take(id, body, { origin: 'control-plane', asOfMs: ports.nowMs() })) return false;
            writer.write(writeKept({ url: KEPT_FROM, id, keptAtMs: ports.nowMs(), body }), id);
          }
          this.confirm('stream');
          return true;
        },
        confirm() {
          problems.isOver();
          state.confirm();
        },
        lost() {},
      };
      const upstream = upstreamOf({ urls, key: token, headers, news, tell: problems.tell, ports });
      running = keepUp(upstream, { pollMs: POLL_MS }, { ...ports, signal: closing.signal });
      return () => closing.abort();
    },
    async report(report, signal) {
      try {
        await post(report, signal);
      } catch (error) {
        if (!(error instanceof ReportRefused)) {
          reportProblems.tell({ code: 'server.unreachable', message: `a report waits: ${sentenceOf(error)}` });
        }
        throw error;
      }
      reportProblems.isOver();
    },
    artifact: (sha256) => fetchArtifact({ urls, token, closing: closing.signal, ports }, sha256),
    async close() {
      closing.abort();
      await running;
      await writer.idle();
    },
  };
}

interface UpstreamParts {
  readonly urls: readonly string[];
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly news: DocumentNews;
  readonly tell: TellFeedProblem;
  readonly ports: FeedPorts;
}

function upstreamOf({ urls, ...parts }: UpstreamParts): Upstream {
  const common = { ...parts, path: '/gateways/v1', about: 'the snapshot', idleMs: IDLE_MS, isSilenceConsent: false };
  return rotating(urls.map((url) => openDocumentUpstream({ ...common, url })));
}

interface State {
  /** Of the document in use; undefined while there is none. */
  readonly id: string | undefined;
  /** @returns whether it is in use now */
  take(id: string, body: string, facts: Omit<SnapshotFacts, 'requestIdKey'>): boolean;
  /** The document in use is the newest. */
  confirm(): void;
}

function openState(follower: SnapshotFollower, { nowMs }: Pick<FeedPorts, 'nowMs'>): State {
  let current: { readonly id: string; readonly revision: number } | undefined;
  return {
    get id() {
      return current?.id;
    },
    take(id, body, facts) {
      const reading = readGatewayDocument(body);
      if (typeof reading === 'string') {
        follower.refuse(reading);
        return false;
      }
      const { snapshot, requestIdKey } = reading;
      const asOfMs = Math.min(facts.asOfMs, nowMs());
      const problem = follower.take(snapshot, { ...facts, asOfMs, requestIdKey: Buffer.from(requestIdKey, 'base64url') });
      if (problem !== undefined) return false;
      current = { id, revision: snapshot.revision };
      return true;
    },
    confirm() {
      if (current !== undefined) follower.present(current.revision);
    },
  };
}
