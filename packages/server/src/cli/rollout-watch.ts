/** Following a rollout until it ends: redrawn in place on a terminal, a line per change elsewhere; and the gate for CI. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RolloutView } from '@understudy/contract/views';
import { formatDuration } from '@understudy/core/duration';
import { isAppError } from '@understudy/core/errors';
import { isLive } from '@understudy/core/rollout';
import { EXIT, EXIT_OF, type ExitCode } from './exit-codes.ts';
import { renderRollout, rolloutLine } from './rollout-frame.ts';
import { exitCodeOf } from './rollout-words.ts';
import type { Session } from './session.ts';
import { showRollout } from './show.ts';
import { plainDeep } from './terminal-text.ts';

export interface WatchOptions {
  readonly everyMs: number;
}

/** What was seen last, and since when nothing new came. */
interface Sight {
  readonly view: RolloutView;
  readonly seenAtMs: number;
  /** Why nothing newer came. */
  readonly trouble?: string;
}

interface Screen {
  draw(sight: Sight): void;
  close(): void;
}

/** @returns 0 promoted, 10 rolled back, aborted or killed */
export async function watchRollout(session: Session, first: RolloutView, { everyMs }: WatchOptions): Promise<ExitCode> {
  const { clock } = session.deps;
  session.stillRuns(stillRunning(first, '-w'));
  const screen = await openScreen(session);
  let sight: Sight = { view: first, seenAtMs: clock.nowMs() };
  try {
    screen.draw(sight);
    while (isLive(sight.view.rollout.state)) {
      await sleep(everyMs, undefined, { signal: session.signal });
      sight = await look(session, sight);
      screen.draw(sight);
    }
  } finally {
    screen.close();
  }
  return exitCodeOf(sight.view.rollout.state) ?? EXIT.ok;
}

/** @returns 0 promoted, 10 rolled back, aborted or killed, 11 paused, 8 when it takes too long */
export async function waitForRollout(
  session: Session,
  first: RolloutView,
  options: WatchOptions & { readonly timeoutMs: number },
): Promise<ExitCode> {
  const { clock } = session.deps;
  session.stillRuns(stillRunning(first, ''));
  const endAtMs = clock.nowMs() + options.timeoutMs;
  let sight: Sight = { view: first, seenAtMs: clock.nowMs() };
  let said = '';
  for (;;) {
    const code = exitCodeOf(sight.view.rollout.state);
    if (code !== undefined) {
      await showRollout(session, sight.view);
      return code;
    }
    const line = sight.trouble ?? keyOf(sight.view);
    if (line !== said) session.note(sight.trouble ?? rolloutLine(sight.view));
    said = line;
    const leftMs = endAtMs - clock.nowMs();
    if (leftMs <= 0) {
      session.note(`not finished within ${formatDuration(options.timeoutMs)}; ${stillRunning(first, '')}`);
      await showRollout(session, sight.view);
      return EXIT.timeout;
    }
    await sleep(Math.min(leftMs, options.everyMs), undefined, { signal: session.signal });
    sight = await look(session, sight);
  }
}

/** The newest view, or the last one with the trouble when the control plane is away. */
async function look(session: Session, last: Sight): Promise<Sight> {
  const { clock } = session.deps;
  try {
    const view = await session.ask('getRollout', { params: { rollout: last.view.rollout.id } });
    return { view, seenAtMs: clock.nowMs() };
  } catch (error) {
    if (!isAppError(error) || EXIT_OF[error.code] !== EXIT.unavailable) throw error;
    return { ...last, trouble: 'reconnecting: the control plane does not answer; gateways go on with the share they have' };
  }
}

async function openScreen(session: Session): Promise<Screen> {
  const { io, env, clock } = session.deps;
  const { output, palette } = session;
  if (output.form !== 'table' || !io.isTty || env['TERM'] === 'dumb') return lineScreen(session);
  const { createLogUpdate } = await import('log-update');
  const update = createLogUpdate(io.stdout, { showCursor: true, defaultWidth: io.columns });
  return {
    draw({ view, seenAtMs, trouble }) {
      const nowMs = clock.nowMs();
      const age = `data ${formatDuration(Math.max(0, nowMs - seenAtMs))} old`;
      const footer = trouble === undefined ? age : `${age}; ${trouble}`;
      update(renderRollout(plainDeep(view), { width: io.columns, palette, nowMs, footer }));
    },
    close: () => update.done(),
  };
}

function lineScreen(session: Session): Screen {
  let shown = '';
  let troubled = '';
  return {
    draw({ view, trouble = '' }) {
      if (trouble !== '' && trouble !== troubled) session.note(trouble);
      troubled = trouble;
      if (keyOf(view) === shown) return;
      shown = keyOf(view);
      session.output.showLine({ data: view, text: rolloutLine });
    },
    close() {},
  };
}

/** What counts as a change: counts that grow every second do not. */
function keyOf({ rollout, challengerPercent, now }: RolloutView): string {
  return JSON.stringify([rollout.state, challengerPercent, now?.verdict]);
}

function stillRunning({ rollout }: RolloutView, flag: string): string {
  return `rollout ${rollout.id} goes on at the server; see it again with: ${`understudy rollout get ${rollout.id} ${flag}`.trim()}`;
}
