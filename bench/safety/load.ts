// Sends predictions over real sockets, at a rate that does not wait for answers, or as fast as answers come.
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where to and as whom. */
export interface LoadTarget {
  readonly url: string;
  /** Left out: anonymous. */
  readonly token?: string;
}

/** What came of one request. Without a status nobody answered. */
export interface Answered {
  readonly sentAtMs: number;
  readonly ms: number;
  readonly status: number | undefined;
  /** `x-understudy-reason` */
  readonly reason: string | undefined;
  /** What broke, where nobody answered. */
  readonly problem?: string;
}

const BODY = '{"features":[1,2,3]}';
const PATIENCE_MS = 10_000;
// How late a sender may be before what it measures is its own slowness.
const TICK_MS = 5;

export interface Sender {
  /** One request of a user; never rejects. */
  send(user: string): Promise<Answered>;
  close(): void;
}

/** Opens connections that are kept. */
export function openSender({ url, token }: LoadTarget, maxSockets = Infinity): Sender {
  const agent = new Agent({ keepAlive: true, maxSockets });
  const access = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const headers = { ...access, 'content-type': 'application/json', 'content-length': BODY.length };
  return {
    send(user) {
      const sentAtMs = performance.now();
      return new Promise((resolve) => {
        const end = (outcome: Pick<Answered, 'status' | 'reason' | 'problem'>): void =>
          resolve({ sentAtMs, ms: performance.now() - sentAtMs, ...outcome });
        const fail = (error: Error): void => end({ status: undefined, reason: undefined, problem: error.message });
        const req = request(url, { method: 'POST', agent, headers: { ...headers, 'x-user-id': user } }, (res) => {
          const reason = res.headers['x-understudy-reason'];
          res.on('error', fail);
          res.on('end', () => end({ status: res.statusCode, reason: typeof reason === 'string' ? reason : undefined }));
          res.resume();
        });
        req.setTimeout(PATIENCE_MS, () => req.destroy(new Error(`no answer within ${PATIENCE_MS} ms`)));
        req.on('error', fail);
        req.end(BODY);
      });
    },
    close: () => agent.destroy(),
  };
}

export interface Rate {
  readonly perSecond: number;
  readonly seconds: number;
}

/** Open loop: requests leave when they are due, whether or not earlier ones were answered; each is another user's. */
export async function sendAtRate(sender: Sender, { perSecond, seconds }: Rate): Promise<readonly Answered[]> {
  const total = Math.round(perSecond * seconds);
  const startMs = performance.now();
  const answers: Promise<Answered>[] = [];
  while (answers.length < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startMs) / 1000) * perSecond) + 1);
    while (answers.length < due) answers.push(sender.send(`user-${answers.length}`));
    await sleep(TICK_MS);
  }
  return Promise.all(answers);
}

export interface Closed {
  /** Users that wait for their answer before they ask again. */
  readonly users: number;
  /** Asked before each request; ends the load. */
  readonly isOver: (sent: number) => boolean;
}

/** Closed loop: as fast as answers come. */
export async function sendInTurn(sender: Sender, { users, isOver }: Closed): Promise<readonly Answered[]> {
  const answers: Answered[] = [];
  let sent = 0;
  const loop = async (): Promise<void> => {
    while (!isOver(sent)) {
      sent += 1;
      answers.push(await sender.send(`user-${sent % 20_000}`));
    }
  };
  await Promise.all(Array.from({ length: users }, loop));
  return answers;
}
