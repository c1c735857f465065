// Asks an evaluator about the same users again and again and counts. Ours and every rival run it, each in a process of its own.

/** What an evaluator answers about a user: a variant, at once or as a promise. */
export type Ask<User> = (user: User) => string | Promise<string>;

export interface LoopResult {
  /** In the order of the rounds. */
  readonly evaluationsPerSecond: readonly number[];
  /** The variant of each user, in order. */
  readonly variants: readonly string[];
}

export interface LoopOptions {
  readonly rounds: number;
  readonly secondsPerRound: number;
}

/** Users between two looks at the clock. */
const BATCH = 200;

export async function loop<User>(ask: Ask<User>, users: readonly User[], options: LoopOptions): Promise<LoopResult> {
  const variants: string[] = [];
  for (const user of users) variants.push(await ask(user));
  const [first] = users;
  if (first === undefined) throw new Error('there are no users to ask about');
  const isAsync = typeof ask(first) !== 'string';
  const evaluationsPerSecond: number[] = [];
  // The round before the first warms up.
  for (let round = -1; round < options.rounds; round += 1) {
    const rate = isAsync ? await asyncRate(ask, users, options) : syncRate(ask, users, options);
    if (round >= 0) evaluationsPerSecond.push(rate);
  }
  return { evaluationsPerSecond, variants };
}

function syncRate<User>(ask: Ask<User>, users: readonly User[], { secondsPerRound }: LoopOptions): number {
  const begin = performance.now();
  let count = 0;
  let tally = 0;
  for (;;) {
    for (let index = 0; index < users.length; index += 1) {
      const user = users[index];
      // The tally keeps the answer from being optimised away.
      if (user !== undefined && ask(user) === 'v2') tally += 1;
      count += 1;
      if (count % BATCH !== 0) continue;
      const seconds = (performance.now() - begin) / 1000;
      if (seconds >= secondsPerRound) return tally < 0 ? 0 : count / seconds;
    }
  }
}

async function asyncRate<User>(ask: Ask<User>, users: readonly User[], { secondsPerRound }: LoopOptions): Promise<number> {
  const begin = performance.now();
  let count = 0;
  let tally = 0;
  for (;;) {
    for (const user of users) {
      if ((await ask(user)) === 'v2') tally += 1;
      count += 1;
      if (count % BATCH !== 0) continue;
      const seconds = (performance.now() - begin) / 1000;
      if (seconds >= secondsPerRound) return tally < 0 ? 0 : count / seconds;
    }
  }
}
