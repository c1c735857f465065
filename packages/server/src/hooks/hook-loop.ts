/** Keeps webhooks going: a round soon after each commit of this process, and one every second for retries and for others' commits. */

interface HookLoop {
  readonly sender: { deliver(): Promise<void>; stop(): void };
  readonly store: { onCommit(listener: () => void): () => void };
  readonly log: { error(fields: object, event: string): void };
}

const ROUND_MS = 1000;

/** Begins. A round that fails is logged and the next one tries again; a slow receiver holds up nobody but hooks. */
export function startHookLoop({ sender, store, log }: HookLoop): { close(): Promise<void> } {
  let isBusy = false;
  let isWanted = false;
  let working: Promise<void> = Promise.resolve();

  async function work(): Promise<void> {
    while (isWanted) {
      isWanted = false;
      try {
        await sender.deliver();
      } catch (error) {
        log.error({ err: error }, 'hooks.failed');
      }
    }
    isBusy = false;
  }

  function wake(): void {
    isWanted = true;
    if (isBusy) return;
    isBusy = true;
    working = work();
  }

  const forget = store.onCommit(wake);
  const timer = setInterval(wake, ROUND_MS);
  timer.unref();
  return {
    async close() {
      forget();
      clearInterval(timer);
      isWanted = false;
      sender.stop();
      await working;
    },
  };
}
