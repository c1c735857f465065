/** The ways in which several commands show an answer: an outcome, a rollout, a list. */
import type { Outcome, RolloutView } from '@understudy/contract/views';
import { formatDuration } from '@understudy/core/duration';
import { renderRollout } from './rollout-frame.ts';
import type { Session } from './session.ts';
import { renderTable } from './table.ts';

export interface ListOf<Row> {
  readonly head: readonly string[];
  row(item: Row): readonly (string | undefined)[];
  name(item: Row): string;
  /** Said instead of an empty list, with what to do. */
  readonly empty: string;
}

export async function showList<Row>(session: Session, data: readonly Row[], list: ListOf<Row>): Promise<void> {
  const { io } = session.deps;
  await session.output.show({
    data,
    text: (rows) =>
      renderTable(
        list.head,
        rows.map((item) => list.row(item)),
        {
          palette: session.palette,
          empty: list.empty,
          ...(io.isTty ? { width: io.columns } : {}),
        },
      ),
    names: (rows) => rows.map((item) => list.name(item)),
  });
}

/** Says what a change came to; nothing after a dry run. */
export async function showOutcome(session: Session, outcome: Outcome | undefined, undo?: string): Promise<void> {
  if (outcome === undefined) return;
  await session.output.show({
    data: outcome,
    text: ({ outcome: what, message }) => (what === 'already-done' ? `already done, nothing was changed: ${message}` : message),
    names: ({ outcome: what }) => [what],
  });
  if (undo !== undefined && outcome.outcome === 'done') session.note(`undo: ${undo}`);
}

/** Shows a rollout after a change; nothing after a dry run. */
export async function showRollout(session: Session, view: RolloutView | undefined, next: readonly string[] = []): Promise<void> {
  if (view === undefined) return;
  const { io, clock } = session.deps;
  await session.output.show({
    data: view,
    text: (data) => renderRollout(data, { width: io.columns, palette: session.palette, nowMs: clock.nowMs() }),
    names: ({ rollout }) => [rollout.id],
  });
  for (const line of next) session.note(line);
}

/** `2026-01-31 12:00:00Z` */
export function timeWords(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** `4m 10s ago` */
export function agoWords(session: Session, atMs: number): string {
  return `${formatDuration(Math.max(0, session.deps.clock.nowMs() - atMs))} ago`;
}

/** Names as a shell reads them; values of ours need no quotes, anything else gets them. */
export function shellWord(text: string): string {
  return /^[\w.@%+=:,/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
