/** Stands between a store and its server and cuts the connection at the worst moment. Tests of lost answers depend on it. */
import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';
import { COMMIT_SCRIPT, REPORT_SCRIPT } from '../redis-scripts.ts';

const WRITES = [COMMIT_SCRIPT.sha1, REPORT_SCRIPT.sha1];

/** `request`: a script that writes never arrives. `answer`: it arrives and is run, and its answer is lost. */
export type Cut = 'request' | 'answer';

export interface CuttingProxy {
  readonly url: string;
  /** Cuts at the next script, once. */
  cutNext(what: Cut): void;
  /** How often it has cut. */
  cuts(): number;
  close(): Promise<void>;
}

export async function openCuttingProxy(serverPort: number): Promise<CuttingProxy> {
  let next: Cut | undefined;
  let cuts = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1');
    let losesAnswer = false;
    const cut = (): void => {
      cuts += 1;
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      open.add(socket);
      // Both sides see a broken connection, which is what this is for.
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (data) => {
      if (next !== undefined && WRITES.some((sha1) => data.includes(sha1))) {
        const what = next;
        next = undefined;
        if (what === 'request') return cut();
        losesAnswer = true;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => (losesAnswer ? cut() : void client.write(data)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    url: `redis://127.0.0.1:${address.port}/0?timeout-ms=15000`,
    cutNext: (what) => (next = what),
    cuts: () => cuts,
    close: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
