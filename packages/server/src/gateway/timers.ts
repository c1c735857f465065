/** Timers as an argument, so that tests move time themselves. Everything in the gateway that waits uses these. */

export interface Timers {
  /** Runs `run` once, not before `ms` milliseconds have gone by. The function returned prevents it. */
  after(ms: number, run: () => void): () => void;
}

/** The process's timers. They never keep the process alive: open sockets do. */
export const systemTimers: Timers = {
  after(ms, run) {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
};
