/**
 * The one commit rule on a Redis server. What a commit changes is read together with the head of the journal, the entry
 * and its hash are computed here, and one script writes everything if the head is still the same. Otherwise: again.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@understudy/core/errors';
import { canonicalJson, jsonText } from './canonical-json.ts';
import { refuseSenseless } from './commit-check.ts';
import { openCommitQueue } from './commit-queue.ts';
import { hashOfEntry } from './journal-hash.ts';
import type { Head, HeadWatch } from './redis-head.ts';
import { channelOf, type EnvironmentKeys, keysOf } from './redis-keys.ts';
import type { RedisCommand, RedisLink, RedisRead, ScriptRun } from './redis-link.ts';
import type { ReplicaWait } from './redis-replicas.ts';
import { documentOf, documentText, headText, numberOf, textOf } from './redis-replies.ts';
import { COMMIT_SCRIPT } from './redis-scripts.ts';
import { idempotencyOfRow } from './rows.ts';
import type { Commit, CommitResult, StoredDocument } from './store.ts';

/** What a commit needs of the store around it. */
export interface CommitParts {
  readonly link: RedisLink;
  readonly heads: HeadWatch;
  /** Tells this store's messages from those of others. */
  readonly storeId: string;
  readonly database: number;
  readonly patienceMs: number;
  readonly untilReplicated: ReplicaWait;
  readonly planted: RedisPlantedBugs;
}

/** Each one breaks a promise on purpose, so that a test can show that it would notice. Never set otherwise. */
export interface RedisPlantedBugs {
  /** Overwrite whatever is there, and decide whatever is decided. */
  readonly noCompareAndSet?: boolean;
  /** Take a commit whose answer was lost for one that never happened. */
  readonly noReadBack?: boolean;
  /** Send the commands of a commit one by one instead of as one script. */
  readonly inPieces?: boolean;
  /** Acknowledge what was sent, before it is answered. */
  readonly acknowledgeEarly?: boolean;
  /** Go on from whatever revision a server has after it lost some. */
  readonly ignoreLoss?: boolean;
}

// Between commits of other processes there is room after a few tries; more tells them apart.
const TRIES_WITHOUT_PAUSE = 5;
const LONGEST_PAUSE_MS = 20;

/** Applies commits of one store; those of one environment one after another, because each needs the hash of the one before. */
export function openCommits(parts: CommitParts): (commit: Commit) => Promise<CommitResult> {
  const inTurn = openCommitQueue();
  return async (commit) => {
    refuseSenseless(commit);
    return inTurn(commit.environment, () => apply(parts, commit));
  };
}

async function apply(parts: CommitParts, commit: Commit): Promise<CommitResult> {
  const attempt = `commit "${commit.action}"`;
  const endMs = performance.now() + parts.patienceMs;
  for (let tries = 1; ; tries += 1) {
    const present = await readPresent(parts, commit, attempt);
    const refusal = refusalOf(commit, present, parts.planted);
    if (refusal !== undefined) {
      if (refusal.outcome === 'replayed') await parts.untilReplicated(attempt, keysOf(commit.environment).fence);
      return refusal;
    }
    const revision = present.head.revision + 1;
    if (await write(parts, commit, { present, attempt })) {
      parts.heads.reached(commit.environment, revision);
      await parts.untilReplicated(attempt, keysOf(commit.environment).fence);
      return { outcome: 'committed', revision };
    }
    if (performance.now() > endMs) {
      throw new AppError(
        'store.busy',
        `cannot ${attempt}: others committed faster, ${tries} times; nothing was changed, try again in a moment`,
      );
    }
    if (tries >= TRIES_WITHOUT_PAUSE) await sleep(Math.random() * LONGEST_PAUSE_MS);
  }
}

/** What a commit depends on, at one moment. */
interface Present {
  readonly head: Head;
  readonly idempotent: string | undefined;
  readonly isDecided: boolean;
  readonly documents: readonly (StoredDocument | undefined)[];
}

async function readPresent({ link, heads }: CommitParts, commit: Commit, attempt: string): Promise<Present> {
  const { environment, decision, idempotency, writes } = commit;
  const keys = keysOf(environment);
  const seen = heads.ask(environment);
  const [head, idempotent, window, ...documents] = await link.readTogether(attempt, [
    ['get', keys.head],
    ['hget', keys.idempotency, idempotency?.key ?? ''],
    ['hget', keys.windows(decision?.rollout ?? ''), String(decision?.window ?? '')],
    ...writes.map(({ kind, id }): RedisRead => ['hget', keys.documents(kind), id]),
  ]);
  return {
    head: seen(head),
    idempotent: idempotency === undefined ? undefined : textOf(idempotent),
    isDecided: decision !== undefined && textOf(window) !== undefined,
    documents: writes.map(({ kind, id }, index) => {
      const text = textOf(documents[index]);
      return text === undefined ? undefined : documentOf(kind, id, text);
    }),
  };
}

function refusalOf(commit: Commit, present: Present, planted: RedisPlantedBugs): CommitResult | undefined {
  const { decision, idempotency, writes } = commit;
  if (idempotency !== undefined && present.idempotent !== undefined) {
    return { outcome: 'replayed', record: recordOf(idempotency.key, present.idempotent) };
  }
  if (planted.noCompareAndSet === true) return undefined;
  if (decision !== undefined && present.isDecided) {
    return { outcome: 'already-decided', rollout: decision.rollout, window: decision.window };
  }
  for (const [index, { kind, id, expectedRevision }] of writes.entries()) {
    const actualRevision = present.documents[index]?.revision ?? 0;
    if (actualRevision !== expectedRevision) return { outcome: 'conflict', kind, id, expectedRevision, actualRevision };
  }
  return undefined;
}

interface Writing {
  readonly present: Present;
  readonly attempt: string;
}

/** False when another commit came first and nothing was changed. */
async function write(parts: CommitParts, commit: Commit, { present, attempt }: Writing): Promise<boolean> {
  const { link, planted } = parts;
  const run = commitRun(parts, commit, present);
  if (planted.acknowledgeEarly === true) {
    void link.run(attempt, run).catch(() => undefined);
    return true;
  }
  if (planted.inPieces === true) {
    for (const command of piecesOf(commit, run)) await link.send(attempt, [command]);
    return true;
  }
  const { answer, isRepeated } = await link.run(attempt, run);
  if (isRepeated && planted.noReadBack === true) return false;
  return numberOf(answer) === 1;
}

function commitRun({ storeId, database }: CommitParts, commit: Commit, { head, documents }: Present): ScriptRun {
  const { environment, actor, action, reason, atMs, writes, decision, idempotency } = commit;
  const keys = keysOf(environment);
  const revision = head.revision + 1;
  const changes = writes.map(({ kind, id, body }, index) => ({
    kind,
    id,
    before: documents[index]?.body ?? null,
    after: body ?? null,
  }));
  const entry = { environment, revision, atMs, actor, action, reason, changes, previousHash: head.hash };
  const hash = hashOfEntry(entry);
  const time = JSON.stringify(atMs);
  const fields = ['at', time, 'actor', actor, 'action', action, 'reason', reason, 'changes', canonicalJson(changes)];
  fields.push('previous', head.hash, 'hash', hash);
  return {
    script: COMMIT_SCRIPT,
    keys: commitKeys(keys, commit),
    args: [
      head.text,
      headText(revision, hash),
      randomUUID(),
      String(revision),
      time,
      channelOf(database),
      JSON.stringify([storeId, environment, revision]),
      String(fields.length),
      ...fields,
      idempotency?.key ?? '',
      idempotency === undefined ? '' : `=${recordText({ ...idempotency, answer: canonicalJson(idempotency.answer) })}`,
      String(decision?.window ?? ''),
      decision === undefined ? '' : `=${jsonText(decision.decision)}`,
      ...writes.flatMap(({ id, body }) => [id, body === undefined ? '' : `=${documentText(revision, canonicalJson(body))}`]),
    ],
  };
}

function commitKeys(keys: EnvironmentKeys, { writes, decision }: Commit): readonly string[] {
  const rollout = decision?.rollout ?? '';
  return [
    keys.head,
    keys.journal,
    keys.idempotency,
    keys.idempotencyAges,
    keys.windows(rollout),
    keys.decisions(rollout),
    ...writes.flatMap(({ kind, id }) => [keys.documents(kind), keys.history(kind, id)]),
  ];
}

/** The most important commands of the script, for the planted bug only. */
function piecesOf({ writes, environment }: Commit, { args }: ScriptRun): readonly RedisCommand[] {
  const keys = keysOf(environment);
  const [, head = '', id = '', revision = ''] = args;
  const fields = args.slice(8, 8 + Number(args[7]));
  const values = args.slice(-2 * writes.length);
  return [
    ['set', keys.head, head],
    ...writes.map(({ kind }, n): RedisCommand => [
      'hset',
      keys.documents(kind),
      values[2 * n] ?? '',
      (values[2 * n + 1] ?? '').slice(1),
    ]),
    ['xadd', keys.journal, `${revision}-0`, 'commit', id, ...fields],
  ];
}

/** An idempotency record as its hash holds it: the length of the request's digest, the digest, the answer. */
export function recordText({ request, answer }: { readonly request: string; readonly answer: string }): string {
  return `${request.length}:${request}${answer}`;
}

/** The parts of {@link recordText}; the answer as JSON. */
export function recordPartsOf(text: string): { readonly request: string; readonly answer: string } {
  const begins = text.indexOf(':') + 1;
  const ends = begins + Number(text.slice(0, begins - 1));
  return { request: text.slice(begins, ends), answer: text.slice(ends) };
}

export function recordOf(key: string, text: string): ReturnType<typeof idempotencyOfRow> {
  return idempotencyOfRow({ key, ...recordPartsOf(text) });
}
