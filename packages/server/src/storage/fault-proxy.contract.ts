/** A proxy on the way to a database that cuts a connection at the moment a test wants, and can refuse new ones. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** `before`: what was sent never arrives. `after`: it arrives, and the answer does not come back. `meanwhile`: when told. */
export type Moment = 'before' | 'after' | 'meanwhile';

export interface FaultProxy {
  readonly port: number;
  /** Cuts the connection that sends one of these texts next, once. Resolves when it has come. */
  readonly cutAt: (texts: string | readonly string[], moment: Moment) => Promise<void>;
  /** Cuts every connection now. */
  readonly cutAll: () => void;
  readonly refuse: (isRefusing: boolean) => void;
  /**
   * While silent it takes what is sent and hands nothing on, and neither end hears that: the other machine is gone. What
   * was swallowed never comes, so those connections are cut when it speaks again.
   */
  readonly silence: (isSilent: boolean) => void;
  readonly close: () => Promise<void>;
}

interface Plan {
  readonly texts: readonly string[];
  readonly moment: Moment;
  readonly come: PromiseWithResolvers<void>;
}

export async function openFaultProxy(port: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  let plan: Plan | undefined;
  let isRefusing = false;
  let isSilent = false;

  const server = createServer((client) => {
    if (isRefusing) {
      client.destroy();
      return;
    }
    const upstream = connect(port, '127.0.0.1');
    let isMuted = false;
    const cut = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', cut);
      socket.on('close', () => {
        sockets.delete(socket);
        cut();
      });
    }
    client.on('data', (bytes) => {
      if (isSilent) return;
      const due = plan;
      if (due === undefined || !due.texts.some((text) => bytes.includes(text))) {
        upstream.write(bytes);
        return;
      }
      plan = undefined;
      if (due.moment === 'before') cut();
      else upstream.write(bytes);
      isMuted = due.moment === 'after';
      due.come.resolve();
    });
    upstream.on('data', (bytes) => {
      if (isSilent) return;
      if (isMuted) cut();
      else client.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    cutAll,
    cutAt: (texts, moment) => {
      plan = { texts: [texts].flat(), moment, come: Promise.withResolvers<void>() };
      return plan.come.promise;
    },
    refuse: (refuses) => {
      isRefusing = refuses;
    },
    silence: (silent) => {
      if (isSilent && !silent) cutAll();
      isSilent = silent;
    },
    close: async () => {
      cutAll();
      server.close();
      await once(server, 'close');
    },
  };
}
