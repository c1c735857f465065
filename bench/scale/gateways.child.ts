// Gateways as a control plane sees them: each holds a stream and reports once a second. Started by `ingest.ts`.
import { connect } from 'node:net';
import type { GatewayReport } from '@understudy/contract/report';
import { secondOf } from './evidence.ts';

/** Argument of the process, as JSON. */
export interface GatewaysRequest {
  readonly origin: string;
  readonly token: string;
  readonly gateways: number;
  readonly models: readonly string[];
}

const { origin, token, gateways, models } = JSON.parse(process.argv[2] ?? '') as GatewaysRequest;
const headers = { authorization: `Bearer ${token}` };
let [taken, refused] = [0, 0];

for (let index = 0; index < gateways; index += 1) {
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  socket.write(`GET /gateways/v1/stream HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: ${headers.authorization}\r\n\r\n`);
  socket.resume();
  let sequence = 0;
  // Gateways report at whole seconds of their clocks, which do not agree to the millisecond.
  setTimeout(
    () => {
      setInterval(() => void report(`g-${index}`, sequence++, index), 1000);
    },
    (index * 1000) / gateways / 4,
  );
}

async function report(gateway: string, sequence: number, seed: number): Promise<void> {
  const nowMs = Date.now();
  const startMs = Math.floor(nowMs / 1000 - 1) * 1000;
  const ready = models.flatMap((model) =>
    ['v1', 'v2'].map((version) => ({ model, version, state: 'ready' as const, detail: 'upstream' })),
  );
  const body: GatewayReport = {
    gateway,
    boot: 'bench',
    sequence,
    revision: 1,
    readiness: ready,
    standing: { release: 'bench', origin: 'control-plane', heardAtMs: nowMs, kills: [] },
    blocks: models.flatMap((model) => secondOf(model, startMs, seed + sequence)),
  };
  const answer = await fetch(`${origin}/gateways/v1/reports`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  await answer.text();
  if (answer.status === 204) taken += 1;
  else refused += 1;
}

process.on('message', () => process.send?.({ taken, refused }));
process.once('disconnect', () => process.exit(0));
