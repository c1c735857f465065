/** Closes what a test opened after it, the newest first. */
import { afterEach } from 'vitest';

interface Closing {
  close(): Promise<unknown>;
}

/** Called once by a file of tests. @returns takes note of what has to be closed, and gives it back */
export function openClosing(): <One extends Closing>(one: One) => One {
  const closing: Closing[] = [];
  afterEach(async () => {
    for (const one of closing.splice(0).toReversed()) await one.close();
  });
  return (one) => {
    closing.push(one);
    return one;
  };
}
