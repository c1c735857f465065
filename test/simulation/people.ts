/** People who change things while everything goes wrong. They ask again under the same key until they hear something. */
import { isAppError } from '@understudy/core/errors';
import { isLive } from '@understudy/core/rollout';
import type { Caller, CommandContext } from '../../packages/server/src/commands/command.ts';
import { killModel, rollBackModel, unkillModel } from '../../packages/server/src/commands/models.ts';
import type { Receipt } from '../../packages/server/src/commands/receipt.ts';
import {
  abortRollout,
  pauseRollout,
  promoteRollout,
  resumeRollout,
  retryRollout,
  rollBackRollout,
} from '../../packages/server/src/commands/rollouts.ts';
import type { Plane } from './control-plane.ts';
import type { Dice } from './dice.ts';
import type { Faults } from './faults.ts';
import { MODEL } from './gateways.ts';
import type { History } from './history.ts';
import type { VirtualTime } from './virtual-time.ts';

type Run = (
  context: CommandContext,
  caller: Caller,
  wish: { readonly rollout: string; readonly reason: string },
) => Promise<Receipt>;

/** What people do. */
const ACTIONS = {
  pause: pauseRollout,
  resume: resumeRollout,
  promote: promoteRollout,
  abort: abortRollout,
  rollback: rollBackRollout,
  retry: retryRollout,
  kill: (context, caller, { reason }) => killModel(context, caller, { model: MODEL, reason }),
  unkill: (context, caller, { reason }) => unkillModel(context, caller, { model: MODEL, reason }),
  'model rollback': (context, caller, { reason }) => rollBackModel(context, caller, { model: MODEL, reason }),
} as const satisfies Readonly<Record<string, Run>>;

export type Act = keyof typeof ACTIONS;

const WEIGHED: readonly Act[] = [
  ...(['pause', 'pause', 'resume', 'resume', 'resume', 'promote', 'abort', 'rollback', 'rollback'] as const),
  ...(['kill', 'unkill', 'unkill', 'retry', 'retry', 'retry', 'retry', 'model rollback'] as const),
];

/** An answer, and when the keys of calls were looked through for it. */
interface Told {
  readonly told: 'unheard' | 'refused' | Receipt;
  readonly lookedAtMs: number;
}

/** What somebody wanted, and what they were told in the end. */
export interface Wish {
  readonly act: Act;
  readonly rollout: string;
  /** Unique: every change that came of the wish carries it. */
  readonly reason: string;
  readonly caller: Caller;
  /** `unheard`: they gave up before anybody answered. */
  told: 'unheard' | 'refused' | Receipt;
  /** Of a refusal: when the refusing control plane asked the store for the last time. */
  lookedAtMs: number;
}

export interface PeopleParts {
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly faults: Faults;
  readonly planes: readonly Plane[];
  readonly history: History;
  readonly onTrace: (line: string) => void;
  readonly onInternalError: (where: string, error: unknown) => void;
}

export interface People {
  readonly wishes: readonly Wish[];
  /** Somebody wants something, and asks until they hear. */
  ask(act: Act, rollout: string): Promise<Wish>;
  /** A person who does something every few seconds. */
  live(name: string, untilMs: number): void;
  /** Whether somebody still waits for an answer. */
  isAnybodyWaiting(): boolean;
}

const PATIENCE_MS = 1500;
const MOST_TRIES = 12;

/** Runs a wish again, as somebody would who is not sure. */
export function repeat(wish: Wish, context: CommandContext): Promise<Receipt> {
  const { act, rollout, reason, caller } = wish;
  return ACTIONS[act](context, caller, { rollout, reason });
}

export function openPeople(parts: PeopleParts): People {
  const { time, dice, faults, planes, history, onTrace, onInternalError } = parts;
  const wishes: Wish[] = [];
  let waiting = 0;

  async function ask(act: Act, rollout: string, name = 'ops'): Promise<Wish> {
    const reason = `${act} ${wishes.length + 1}`;
    const caller: Caller = {
      actor: `token:${name}`,
      idempotency: { key: `key ${wishes.length + 1}`, request: `${act} ${rollout}` },
    };
    const wish: Wish = { act, rollout, reason, caller, told: 'unheard', lookedAtMs: 0 };
    wishes.push(wish);
    waiting += 1;
    // A client whose connection breaks may send the request again at once, to another control plane.
    if (!faults.isHealed && dice.chance(0.1)) void attempt(wish);
    for (let tries = 0; tries < MOST_TRIES && wish.told === 'unheard'; tries += 1) {
      const { told, lookedAtMs } = await attempt(wish);
      if (told !== 'unheard') Object.assign(wish, { told, lookedAtMs });
      else await time.sleep(dice.between(50, 500));
    }
    waiting -= 1;
    onTrace(
      `${reason} of ${rollout}: ${typeof wish.told === 'string' ? wish.told : `${wish.told.outcome} ${wish.told.message}`}`,
    );
    check(wish);
    return wish;
  }

  function attempt(wish: Wish): Promise<Told> {
    return new Promise((resolve) => {
      time.after(PATIENCE_MS, () => resolve({ told: 'unheard', lookedAtMs: 0 }));
      dice
        .pick(planes)
        .serve(async (context): Promise<Told> => {
          // Of this run alone: a request may arrive twice.
          let lookedAtMs = 0;
          const findIdempotent: typeof context.store.findIdempotent = (environment, key) => {
            lookedAtMs = time.nowMs();
            return context.store.findIdempotent(environment, key);
          };
          const told = await repeat(wish, { ...context, store: { ...context.store, findIdempotent } }).catch((error: unknown) =>
            toldBy(wish, error),
          );
          return { told, lookedAtMs };
        })
        .then(resolve, () => undefined);
    });
  }

  function toldBy(wish: Wish, error: unknown): Wish['told'] {
    if (isAppError(error, 'store.busy') || isAppError(error, 'store.conflict')) return 'unheard';
    if (!isAppError(error)) onInternalError(wish.reason, error);
    return 'refused';
  }

  /** Whoever is told that a rollback happened must find nobody on the challenger, until somebody tries again. */
  function check({ act, rollout, told, reason }: Wish): void {
    if (act !== 'rollback' || typeof told === 'string') return;
    const moment = history.at(told.revision);
    const newest = moment?.newest;
    if (newest === undefined || newest.id !== rollout) return;
    const isStillThere = isLive(newest.state) || (newest.state.phase === 'promoted' && moment?.champion === newest.challenger);
    if (!isStillThere) return;
    const detail = `${reason} was told "${told.message}" at revision ${told.revision}, but ${rollout} is ${newest.state.phase}`;
    history.report({ invariant: 'people win', detail });
  }

  return {
    wishes,
    ask,
    isAnybodyWaiting: () => waiting > 0,
    live(name, untilMs) {
      const next = async (): Promise<void> => {
        if (time.nowMs() > untilMs) return;
        const rollout = history.newest()?.id;
        if (rollout !== undefined) await ask(dice.pick(WEIGHED), rollout, name);
        time.after(dice.between(200, 2000), () => void next());
      };
      time.after(dice.between(0, 3000), () => void next());
    },
  };
}
