/** Last known values in a browser's storage, which may be full, forbidden or cleared at any time: then nothing is kept. */
import type { SnapshotStorage } from '@understudy/feed/snapshot-storage';

/** The part of `localStorage` that is used. */
export interface WebStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/**
 * Keeps the last known values of one user. A private window may refuse it, which is told as a problem and harms nothing.
 * @param name tells applications of one origin apart
 * @param storage `localStorage` when left out; `sessionStorage` forgets with the tab
 */
export function browserStorage(name = 'understudy.flags', storage?: WebStorage): SnapshotStorage {
  // Asked for when needed: merely naming it throws where it is forbidden.
  const place = (): WebStorage => storage ?? localStorage;
  return {
    read() {
      return new Promise((resolve) => {
        const text = place().getItem(name);
        resolve({ texts: text === null ? [] : [text], problems: [] });
      });
    },
    write(text) {
      return new Promise((resolve) => {
        place().setItem(name, text);
        resolve();
      });
    },
  };
}
