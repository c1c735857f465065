/**
 * From the reports of many gateways to blocks in which both arms were served at the same time. Policies and watches judge
 * these; the engine fills the pool from the store.
 *
 * Everything here depends only on what was stored: the interval of a report follows from when it begins and when it was
 * stored, never from the order in which reports arrive, and an interval is closed by the clock, never by what is in it.
 * So the same stored evidence always gives the same blocks, and a decision can be replayed.
 */
import { type Arm, EMPTY_TALLY, type EvidenceBlock, mergeTallies, type Tally } from './evidence.ts';

/** A block with the moment at which the store took it. */
export interface StoredBlock {
  readonly block: EvidenceBlock;
  readonly seenAtMs: number;
}

/** What was seen of each arm. */
export type Arms = Readonly<Record<Arm, Tally>>;

/** What all gateways of a stratum saw of all arms in one interval under one step. */
export interface ConcurrentBlock {
  readonly startMs: number;
  /** −1 outside of a rollout. */
  readonly step: number;
  readonly stratum: string;
  readonly arms: Arms;
}

/** Plain data. */
export interface EvidencePool {
  /** Intervals that begin before this are closed. */
  readonly closedUntilMs: number;
  /** Blocks of intervals that are not closed yet, in no particular order. */
  readonly open: readonly ConcurrentBlock[];
  /** Requests that came for an interval that was closed already: only when clocks of control planes disagree. */
  readonly lost: number;
}

/** Reports are made once a second, at whole seconds. */
export const INTERVAL_MS = 1000;

/** A report is late when it was stored this long after the end of its interval; it then counts in the interval that is open. */
export const GRACE_MS = 200;

/** Nothing of any arm. */
export const NO_ARMS: Arms = { champion: EMPTY_TALLY, challenger: EMPTY_TALLY, shadow: EMPTY_TALLY };

/** A pool without evidence. */
export const EMPTY_POOL: EvidencePool = { closedUntilMs: 0, open: [], lost: 0 };

/** The pool with one more block. */
export function pour(pool: EvidencePool, stored: StoredBlock): EvidencePool {
  const { block } = stored;
  const startMs = intervalOf(stored);
  if (startMs < pool.closedUntilMs) return { ...pool, lost: pool.lost + block.tally.requests };
  const { step = -1, stratum = '', arm, tally } = block;
  const index = pool.open.findIndex((open) => open.startMs === startMs && open.step === step && open.stratum === stratum);
  const present = pool.open[index];
  if (present === undefined) {
    const arms = { ...NO_ARMS, [arm]: tally };
    return { ...pool, open: [...pool.open, { startMs, step, stratum, arms }] };
  }
  const arms = { ...present.arms, [arm]: mergeTallies(present.arms[arm], tally) };
  return { ...pool, open: pool.open.with(index, { ...present, arms }) };
}

/** The pool after closing every interval that has ended and waited for late reports, and their blocks, oldest first. */
export function closeUntil(
  pool: EvidencePool,
  atMs: number,
): { readonly pool: EvidencePool; readonly closed: readonly ConcurrentBlock[] } {
  const closedUntilMs = Math.max(pool.closedUntilMs, startOf(atMs - GRACE_MS));
  const closed = pool.open.filter((block) => block.startMs < closedUntilMs);
  if (closed.length === 0) return { pool: { ...pool, closedUntilMs }, closed };
  const open = pool.open.filter((block) => block.startMs >= closedUntilMs);
  return { pool: { ...pool, closedUntilMs, open }, closed: closed.toSorted(byTimeAndPlace) };
}

/**
 * A report that counts as seen at this moment or later counts in no interval that was closed by the clock at `atMs`. The same for a
 * whole second.
 */
export function sealOf(atMs: number): number {
  return startOf(atMs - GRACE_MS) + GRACE_MS;
}

/**
 * The interval that a report counts in: its own, when it came in time. A gateway's clock that is ahead cannot hold
 * evidence back, and one that is behind cannot write into the past.
 */
export function intervalOf({ block, seenAtMs }: StoredBlock): number {
  const newest = startOf(seenAtMs);
  const oldest = startOf(seenAtMs - GRACE_MS);
  return Math.min(newest, Math.max(oldest, startOf(block.startMs)));
}

function startOf(atMs: number): number {
  return Math.floor(atMs / INTERVAL_MS) * INTERVAL_MS;
}

function byTimeAndPlace(left: ConcurrentBlock, right: ConcurrentBlock): number {
  return left.startMs - right.startMs || left.step - right.step || (left.stratum < right.stratum ? -1 : 1);
}
