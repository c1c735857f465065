import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHook, getHook } from '../commands/hooks.ts';
import { resumeTheLine, stopTheLine } from '../commands/freezes.ts';
import { promoteVersion } from '../commands/models.ts';
import { startRollout } from '../commands/rollouts.ts';
import { HUMAN, openTestWorld, type TestWorld } from '../commands/test-world.ts';
import { BUILT_IN_PLANS } from '@understudy/core/plan';
import { type HookEvent, MOST_PENDING } from '@understudy/core/hook';
import { startHookLoop } from './hook-loop.ts';
import { type HookSender, type HookSenderOptions, openHookSender } from './hook-sender.ts';

interface Got {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly path: string | undefined;
}

interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly got: Got[];
  answer: (response: ServerResponse, got: Got) => void;
}

/** A real server that keeps what it was told. */
async function openReceiver(): Promise<Receiver> {
  const got: Got[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one = { headers: request.headers, body: Buffer.concat(chunks).toString(), path: request.url };
      got.push(one);
      receiver.answer(response, one);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const receiver: Receiver = {
    url: `http://127.0.0.1:${address.port}/hook?key=1`,
    got,
    answer: (response) => response.writeHead(204).end(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

const KEY = Buffer.alloc(32, 7);
const ANYWHERE = { problemOf: () => undefined, resolve: async (host: string) => host };
const [STANDARD] = BUILT_IN_PLANS;
if (STANDARD === undefined) throw new Error('there is no plan');

let world: TestWorld;
let receiver: Receiver;
let sender: HookSender;
beforeEach(async () => {
  world = await openTestWorld();
  receiver = await openReceiver();
  sender = senderOf();
});
afterEach(async () => {
  await receiver[Symbol.asyncDispose]();
  await world.store.close();
});

function senderOf(more: Partial<HookSenderOptions> = {}, context = world.context): HookSender {
  return openHookSender(context, { addresses: ANYWHERE, key: KEY, random: () => 1, log: { warn: () => undefined }, ...more });
}

async function hook(more: { readonly format?: 'understudy' | 'slack'; readonly events?: readonly HookEvent[] } = {}) {
  const input = { name: 'ops', url: receiver.url, format: more.format ?? 'understudy', events: more.events ?? ALL } as const;
  return createHook(world.context, HUMAN, input);
}

const ALL: readonly HookEvent[] = ['rollout.started', 'model.promoted', 'line.stopped'];

async function promote(version = 'v2', reason = 'checked by hand'): Promise<void> {
  await promoteVersion(world.context, HUMAN, { model: 'fraud', version, reason });
}

const progress = async () => (await getHook(world.context, 'ops')).progress;

describe('a message', () => {
  it('is a CloudEvent that says why in one sentence', async () => {
    await hook();
    await startRollout(world.context, HUMAN, { model: 'fraud', challenger: 'v2', plan: STANDARD, reason: 'new\nfeatures' });
    await sender.deliver();
    expect(receiver.got).toHaveLength(1);
    expect(receiver.got[0]?.path).toBe('/hook?key=1');
    expect(receiver.got[0]?.headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
    expect(JSON.parse(receiver.got[0]?.body ?? '')).toEqual({
      specversion: '1.0',
      id: receiver.got[0]?.headers['webhook-id'],
      source: '/environments/production',
      type: 'understudy.rollout.started',
      subject: 'rollouts/fraud-1',
      time: new Date(world.context.clock.nowMs()).toISOString(),
      datacontenttype: 'application/json',
      data: {
        why: 'fraud-1 (v2 against v1) rollout started: new features',
        severity: 'info',
        environment: 'production',
        revision: await world.store.revision('production').then((revision) => revision - 2),
        by: 'token:ana',
        model: 'fraud',
        rollout: 'fraud-1',
        champion: 'v1',
        challenger: 'v2',
      },
    });
  });

  it('is signed as Standard Webhooks say, with the secret that was shown', async () => {
    const created = await hook();
    await promote();
    await sender.deliver();
    const [got] = receiver.got;
    const [id, timestamp] = [got?.headers['webhook-id'], got?.headers['webhook-timestamp']];
    const secret = Buffer.from(sender.secretOf(created).slice('whsec_'.length), 'base64');
    const expected = createHmac('sha256', secret).update([id, timestamp, got?.body].join('.')).digest('base64');
    expect(got?.headers['webhook-signature']).toBe(`v1,${expected}`);
    expect(Number(timestamp)).toBe(Math.floor(world.context.clock.nowMs() / 1000));
    expect(secret).toHaveLength(32);
    expect(JSON.stringify(await world.store.readAll('production'))).not.toContain(secret.toString('base64'));
  });

  it('for Slack can neither mention anybody nor link anywhere', async () => {
    await hook({ format: 'slack' });
    await promote('v2', '<!channel> & <https://evil.example|click>');
    await sender.deliver();
    const text =
      ':information_source: fraud (champion v2) new champion: &lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;';
    expect(JSON.parse(receiver.got[0]?.body ?? '')).toEqual({
      text,
      blocks: [
        { type: 'section', text: { type: 'mrkdwn', text } },
        {
          type: 'context',
          elements: [
            { type: 'mrkdwn', text: expect.stringMatching(/^production · new champion · by token:ana · revision \d+$/) },
          ],
        },
      ],
    });
  });

  it('goes only to who asked for it, and once', async () => {
    await hook({ events: ['line.stopped'] });
    await promote();
    await stopTheLine(world.context, HUMAN, { reason: 'incident' });
    await sender.deliver();
    await sender.deliver();
    await senderOf().deliver();
    expect(receiver.got.map(({ body }) => JSON.parse(body).data.why)).toEqual(['production line stopped: incident']);
  });

  it('of the time before the hook is not sent', async () => {
    await promote();
    await hook();
    await sender.deliver();
    expect(receiver.got).toEqual([]);
  });
});

describe('a receiver that', () => {
  it.each([
    { name: 'fails', answer: (response: ServerResponse) => response.writeHead(500).end('no'), problem: 'it answered 500' },
    {
      name: 'redirects',
      answer: (response: ServerResponse) => response.writeHead(307, { location: '/elsewhere' }).end(),
      problem: 'it redirects elsewhere, and redirects are not followed',
    },
    { name: 'closes the connection', answer: (response: ServerResponse) => response.destroy(), problem: 'socket hang up' },
  ])('$name is tried again later, with the same id, and not before', async ({ answer, problem }) => {
    await hook();
    await promote();
    receiver.answer = answer;
    await sender.deliver();
    expect((await progress()).log).toMatchObject([{ outcome: 'failed', attempt: 1, problem }]);
    world.wait(4999);
    await sender.deliver();
    expect(receiver.got).toHaveLength(1);
    receiver.answer = (response) => response.writeHead(200).end('ok');
    world.wait(1);
    await sender.deliver();
    expect(receiver.got).toHaveLength(2);
    expect(new Set(receiver.got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(await progress()).toMatchObject({ pending: [], log: [{ outcome: 'failed' }, { outcome: 'delivered', attempt: 2 }] });
  });

  it('never answers is given up after the deadline', async () => {
    sender = senderOf({ timeoutMs: 100 });
    await hook();
    await promote();
    receiver.answer = () => undefined;
    await sender.deliver();
    expect((await progress()).log).toMatchObject([{ outcome: 'failed', problem: 'no answer within 0.1 s' }]);
  });

  it('answers without end is not listened to', async () => {
    await hook();
    await promote();
    receiver.answer = (response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    };
    await sender.deliver();
    expect((await progress()).log).toMatchObject([{ outcome: 'delivered', status: 200 }]);
  });

  it('is gone is not called again', async () => {
    await hook();
    await promote();
    receiver.answer = (response) => response.writeHead(410).end();
    await sender.deliver();
    await promote('v3');
    await sender.deliver();
    expect(receiver.got).toHaveLength(1);
    expect((await getHook(world.context, 'ops')).disabled).toMatchObject({ reason: 'it answered 410' });
  });

  it('is away for a day misses the message, which is kept to be seen', async () => {
    await hook();
    await promote();
    receiver.answer = (response) => response.writeHead(503).end();
    for (let hours = 0; hours < 30; hours += 1) {
      await sender.deliver();
      world.wait(3_600_000);
    }
    const { pending, dead } = await progress();
    expect(pending).toEqual([]);
    expect(dead).toMatchObject([{ outcome: 'gave-up', problem: 'it answered 503' }]);
    expect(receiver.got).toHaveLength(25);
  });

  it('is slow holds up no other hook', async () => {
    await using other = await openReceiver();
    await hook();
    await createHook(world.context, HUMAN, { name: 'other', url: other.url, format: 'understudy', events: ALL });
    await promote();
    sender = senderOf({ timeoutMs: 60_000 });
    const held = new Promise<ServerResponse>((resolve) => {
      receiver.answer = resolve;
    });
    const arrived = new Promise<void>((resolve) => {
      other.answer = (response) => {
        response.writeHead(204).end();
        resolve();
      };
    });
    const delivering = sender.deliver();
    await arrived;
    (await held).writeHead(204).end();
    await delivering;
    expect(receiver.got).toHaveLength(1);
  });
});

it('stops at once, and what was on its way is sent by the next process', async () => {
  await hook();
  await promote();
  const held = new Promise<void>((resolve) => {
    receiver.answer = () => resolve();
  });
  const loop = startHookLoop({ sender, store: world.store, log: { error: () => undefined } });
  await promote('v3');
  await held;
  await loop.close();
  receiver.answer = (response) => response.writeHead(204).end();
  receiver.got.length = 0;
  world.wait(5000);
  await senderOf().deliver();
  expect(receiver.got.map(({ body }) => JSON.parse(body).data.champion)).toEqual(['v2', 'v3']);
});

describe('a crash', () => {
  it('between sending and recording sends again, with the same id, once the claim is over', async () => {
    await hook();
    await promote();
    const { store } = world;
    const dying = {
      ...world.context,
      store: {
        ...store,
        commit: async (commit: Parameters<typeof store.commit>[0]) => {
          if (commit.action === 'hook.delivered') throw new Error('power cut');
          return store.commit(commit);
        },
      },
    };
    await senderOf({}, dying).deliver();
    expect(receiver.got).toHaveLength(1);
    await sender.deliver();
    expect(receiver.got).toHaveLength(1);
    world.wait(200_000);
    await sender.deliver();
    expect(receiver.got).toHaveLength(2);
    expect(receiver.got[0]?.headers['webhook-id']).toBe(receiver.got[1]?.headers['webhook-id']);
    expect((await progress()).pending).toEqual([]);
  });

  it('is not needed for two processes to share the work: each message goes out once', async () => {
    await hook();
    await promote();
    await promote('v3');
    const [one, two] = [senderOf(), senderOf()];
    await Promise.all([one.deliver(), two.deliver()]);
    await Promise.all([one.deliver(), two.deliver()]);
    expect(receiver.got).toHaveLength(2);
  });
});

it('stops reading when too much waits, and loses nothing', async () => {
  await hook({ events: ['line.stopped', 'line.resumed'] });
  const count = MOST_PENDING + 20;
  for (let index = 0; index < count; index += 1) {
    const change = index % 2 === 0 ? stopTheLine : resumeTheLine;
    await change(world.context, HUMAN, { reason: `${index}` });
  }
  receiver.answer = (response) => response.writeHead(500).end();
  await sender.deliver();
  expect((await progress()).pending).toHaveLength(MOST_PENDING);
  receiver.answer = (response) => response.writeHead(204).end();
  receiver.got.length = 0;
  for (let round = 0; round < count; round += 1) {
    world.wait(10_000);
    await sender.deliver();
  }
  const numbers = receiver.got.map(({ body }) => Number(/: (\d+)$/.exec(JSON.parse(body).data.why)?.[1]));
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, index) => index));
});

it('goes nowhere that is forbidden, also when a name has come to lead there', async () => {
  await hook();
  await promote();
  const asked: string[] = [];
  const addresses = {
    problemOf: (url: string) => {
      asked.push(new URL(url).hostname);
      return new URL(url).hostname === '10.9.9.9' ? 'it is us' : undefined;
    },
    resolve: async () => '10.9.9.9',
  };
  await senderOf({ addresses }).deliver();
  expect(asked).toEqual(['127.0.0.1', '10.9.9.9']);
  expect((await progress()).log).toMatchObject([{ outcome: 'failed', problem: 'it is us' }]);
  expect(receiver.got).toEqual([]);
});

it('tests a hook without a word about anything that happened', async () => {
  const created = await hook();
  expect(await sender.test(created)).toMatchObject({ outcome: 'delivered', status: 204 });
  expect(JSON.parse(receiver.got[0]?.body ?? '')).toMatchObject({ type: 'understudy.hook.test', subject: 'hooks/ops' });
  receiver.answer = (response) => response.writeHead(404).end();
  expect(await sender.test(created)).toMatchObject({ outcome: 'failed', status: 404, problem: 'it answered 404' });
});
