/** The way between one control plane and the store: what it takes, loses and repeats. It changes nothing of what a call means. */
import { AppError } from '@understudy/core/errors';
import type { Store } from '../../packages/server/src/storage/store.ts';
import type { Plane } from './control-plane.ts';
import type { Dice } from './dice.ts';
import type { Faults } from './faults.ts';
import type { Counter, Happening } from './happened.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface ChannelParts {
  readonly plane: Plane;
  /** Of the process that asks. */
  readonly generation: number;
  readonly store: Store;
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly faults: Faults;
  readonly onTrace: (line: string) => void;
  readonly note: Counter['note'];
}

/** A driver gives up after so long; what it asked may still happen. */
const DEADLINE_MS = 2000;

const REFUSALS = {
  conflict: 'conflict',
  'already-decided': 'decided already',
  replayed: 'answered by its key',
} as const satisfies Readonly<Record<string, Happening>>;

interface Call<Result> {
  readonly method: string;
  readonly run: () => Promise<Result>;
  readonly isChange?: boolean;
  /** How much longer the request is on its way. */
  readonly lateMs?: number | 'at once';
  /** Whether whoever asked goes on in a later turn of the real event loop. */
  readonly yieldsOn?: (result: Result) => boolean;
}

export function openFaultyChannel(parts: ChannelParts): Store {
  const { plane, generation, store, time, dice, faults, onTrace, note } = parts;
  const travelMs = (): number => dice.between(1, faults.slowestMs);
  /** When a message that leaves now arrives. */
  const arrivalMs = (): number => Math.max(time.nowMs(), plane.cloggedUntilMs) + travelMs() - time.nowMs();

  function call<Result>({ method, run, isChange = false, lateMs = 0, yieldsOn }: Call<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const deadlineMs = time.nowMs() + DEADLINE_MS;
      const giveUp = (): void =>
        time.after(deadlineMs - time.nowMs(), () =>
          plane.inProcess(generation, () =>
            reject(new AppError('store.busy', `cannot ${method}: no answer within ${DEADLINE_MS} ms`)),
          ),
        );
      const answer = (settle: () => void): void => {
        const ms = arrivalMs();
        if (dice.chance(faults.replyLost) || time.nowMs() + ms > deadlineMs) {
          note('answer lost');
          giveUp();
        } else time.after(ms, () => plane.inProcess(generation, settle));
      };
      const arrive = (): void => {
        if (isChange && dice.chance(faults.twice)) {
          note('request arrived twice');
          time.after(travelMs(), () => void run().catch(() => undefined));
        }
        run().then(
          (result) =>
            answer(() => {
              if (yieldsOn?.(result) === true) time.yieldOnce();
              resolve(result);
            }),
          (error: unknown) => answer(() => reject(error instanceof Error ? error : new Error(String(error)))),
        );
      };
      if (dice.chance(faults.requestLost)) {
        note('request lost');
        giveUp();
      } else if (lateMs === 'at once') arrive();
      else time.after(lateMs + arrivalMs(), arrive);
    });
  }

  const commit: Store['commit'] = async (wanted) => {
    if (dice.chance(faults.diesBeforeCommit)) {
      plane.crash(`before ${wanted.action}`);
      return new Promise(() => undefined);
    }
    const run = async (): ReturnType<Store['commit']> => {
      const result = await store.commit(wanted);
      if (result.outcome !== 'committed') note(REFUSALS[result.outcome]);
      onTrace(`${plane.name} ${wanted.action} ${result.outcome} ${'revision' in result ? result.revision : ''}`);
      if (result.outcome === 'committed' && plane.generation() === generation && dice.chance(faults.diesAfterCommit)) {
        plane.crash(`after ${wanted.action}`);
      }
      return result;
    };
    return call({ method: `commit ${wanted.action}`, run, isChange: true });
  };

  return {
    commit,
    read: (...args) => call({ method: 'read', run: () => store.read(...args) }),
    list: (...args) => call({ method: 'list', run: () => store.list(...args) }),
    readAll: (...args) => call({ method: 'read all', run: () => store.readAll(...args) }),
    revision: (...args) => call({ method: 'read the revision', run: () => store.revision(...args) }),
    findIdempotent: (...args) => call({ method: 'look up a key', run: () => store.findIdempotent(...args) }),
    journal: (...args) => call({ method: 'read the journal', run: () => store.journal(...args) }),
    verifyJournal: (...args) => call({ method: 'verify the journal', run: () => store.verifyJournal(...args) }),
    decisions: (...args) => call({ method: 'read decisions', run: () => store.decisions(...args) }),
    appendReport: (...args) =>
      call({
        method: 'store a report',
        isChange: true,
        lateMs: faults.slowestReportMs === undefined ? 'at once' : dice.between(0, faults.slowestReportMs),
        run: async () => {
          const outcome = await store.appendReport(...args);
          if (outcome === 'duplicate') note('report known already');
          return outcome;
        },
      }),
    sealEvidence: (...args) => call({ method: 'seal evidence', run: () => store.sealEvidence(...args), isChange: true }),
    evidence: (environment, query) =>
      call({
        method: 'read evidence',
        run: () => store.evidence(environment, query),
        // Whoever gets a full chunk lets others go first before asking for the next one.
        yieldsOn: (found) => found.length === query.limit,
      }),
    gateways: (...args) => call({ method: 'read the gateways', run: () => store.gateways(...args) }),
    saveFeedback: (...args) => call({ method: 'save feedback', run: () => store.saveFeedback(...args), isChange: true }),
    feedback: (...args) => call({ method: 'read feedback', run: () => store.feedback(...args) }),
    prune: (...args) => call({ method: 'prune', run: () => store.prune(...args), isChange: true }),
    // Hints come late and not always; whoever relies on them alone stays behind.
    onCommit: (listener) =>
      store.onCommit((environment, revision) => {
        if (dice.chance(0.5)) time.after(travelMs(), () => plane.inProcess(generation, () => listener(environment, revision)));
      }),
    close: async () => undefined,
  };
}
