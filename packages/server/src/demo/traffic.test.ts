import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { openTraffic, type Traffic, type TrafficPlan } from './traffic.ts';
import type { Measure } from './traffic-tracker.ts';
import { waitFor } from './waiting.ts';

interface Seen {
  readonly path: string | undefined;
  readonly user: string | undefined;
  readonly token: string | undefined;
  readonly body: string;
}

/** A gateway of which every answer is known: an ink of 5 fails, every other one is told back. */
async function openGateway(): Promise<{ readonly url: string; readonly seen: Seen[]; readonly server: Server }> {
  const seen: Seen[] = [];
  const server = createServer((req, res) => {
    void text(req).then((body) => {
      const user = req.headers['x-user-id'];
      seen.push({ path: req.url, user: typeof user === 'string' ? user : undefined, token: req.headers.authorization, body });
      const ink = Number(/\[(\d+)\]/.exec(body)?.[1]);
      res.statusCode = ink === 5 ? 500 : 200;
      const answer = ink === 5 ? { error: { code: 'model.run_failed' } } : { prediction: ink, version: 'v1' };
      res.end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, seen, server };
}

function planFor(gatewayUrl: string): TrafficPlan {
  const rows = { usual: [[2], [4]], shifted: [[2], [5]] };
  const model = { model: 'inks', task: { kind: 'class' }, users: 10, perSecond: 200, rows, labels: [2, 4] } as const;
  return { gatewayUrl, token: 'secret', models: [model] };
}

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

async function openBoth() {
  const gateway = await openGateway();
  const traffic = openTraffic(planFor(gateway.url), (error) => {
    throw error;
  });
  opened.push(traffic, gateway.server);
  return { ...gateway, traffic };
}

async function measureWith(traffic: Traffic, isEnough: (measure: Measure) => boolean): Promise<Measure> {
  const wait = { what: 'enough traffic', withinMs: 10_000, everyMs: 20, signal: new AbortController().signal };
  return waitFor(wait, () => {
    const measure = traffic.measureOf('inks');
    return isEnough(measure) ? { found: measure } : { insteadOf: JSON.stringify(measure) };
  });
}

describe('openTraffic', () => {
  it('sends each user with the same row every time, and counts what they get', async () => {
    const { traffic, seen } = await openBoth();
    const { errors, versions } = await measureWith(traffic, ({ answers }) => answers > 40);
    expect(errors).toBe(0);
    expect(versions['v1']?.wrong).toBe(0);
    expect(seen[0]).toMatchObject({ path: '/predict/inks', token: 'Bearer secret' });
    for (const { user, body } of seen) {
      const row = Number(user?.replace('user-', '')) % 2;
      expect(body).toBe(JSON.stringify({ features: row === 0 ? [2] : [4] }));
    }
  });

  it('counts anew from a mark, and in another world', async () => {
    const { traffic } = await openBoth();
    await measureWith(traffic, ({ answers }) => answers > 0);
    traffic.mark('inks');
    expect(traffic.measureOf('inks').answers).toBe(0);
    traffic.set('inks', { world: 'shifted' });
    const { problems, errorUsers } = await measureWith(traffic, ({ errors }) => errors > 20);
    expect(Object.keys(problems)).toEqual(['500 model.run_failed']);
    expect(errorUsers).toBeLessThanOrEqual(5);
  });

  it('refuses to load a gateway on another machine', () => {
    expect(() => openTraffic(planFor('http://example.com:7071'), () => undefined)).toThrow(
      "cannot send the demo's traffic to example.com: it is meant for a gateway on this machine",
    );
  });
});
