/** Something that is read once for a thousand rollouts that are looked at in one round. */

export interface RoundReading<Value> {
  now(): Promise<Value>;
  /** Does some work for which it is what it was at its beginning. */
  during(work: () => Promise<void>): Promise<void>;
}

export function openRoundReading<Value>(read: () => Promise<Value>): RoundReading<Value> {
  let held: Promise<Value> | undefined;
  return {
    now: () => held ?? read(),
    async during(work) {
      held = read();
      try {
        await held;
        await work();
      } finally {
        held = undefined;
      }
    },
  };
}
