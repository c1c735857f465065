/** Answers of the gateway on this machine for tests of the command line. Every text in them can be made naughty. */
import type { LocalOutcome, LocalStatus } from '@understudy/contract/local-socket';
import type { Standing } from '@understudy/contract/report';

/** A gateway that serves from its disk, refuses what came and has a kill of its own. */
export function standingOf(text: string, nowMs: number): Standing {
  const kills = [{ model: 'digits', atMs: nowMs - 60_000, by: text, reason: text }];
  const refused = { reason: text, atMs: nowMs - 5000 };
  return { release: '0.1.0', origin: 'last-known-good', heardAtMs: nowMs - 90_000, refused, kills };
}

/** What the gateway on this machine answers on its socket, by path. */
export function localAnswers(nowMs: number, text = 'fine'): Readonly<Record<string, LocalStatus | LocalOutcome>> {
  const readiness = [{ model: 'digits', version: 'v2', state: 'ready' as const, detail: text }];
  const done: LocalOutcome = { outcome: 'done', message: `done: ${text}` };
  const status = {
    gateway: 'eu-1',
    revision: 42,
    standing: standingOf(text, nowMs),
    readiness,
    problems: [text],
    pendingReports: 3,
  };
  return { '/status': status, '/kill': done, '/unkill': done };
}
