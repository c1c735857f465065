// A process that plays many streaming clients and notes when each of them has the state that was asked for.
import { OPEN_CLIENT } from './family-clients.ts';
import type { EventStream } from './event-stream.ts';
import { type ClientsRequest, FAMILIES, type Family, monotonicMs, type Order, type Report } from './messages.ts';

interface Client {
  readonly family: Family;
  readonly stream: EventStream;
  seenAtMs: number | undefined;
}

const { clientsPerFamily, keys, ...place } = JSON.parse(process.argv[2] ?? '') as ClientsRequest;
const count = clientsPerFamily * FAMILIES.length;
const clients: Client[] = [];
let problems: string[] = [];
let wanted: boolean | undefined;
let missing = 0;

function openAll(): void {
  for (let index = 0; index < count; index += 1) {
    const family = FAMILIES[index % FAMILIES.length] ?? 'unleash';
    const stream = OPEN_CLIENT[family](
      { ...place, key: keys[family] },
      {
        saw: (isOn) => saw(index, isOn),
        problem: (text) => void problems.push(`${family}: ${text}`),
      },
    );
    clients.push({ family, stream, seenAtMs: undefined });
  }
}

function saw(index: number, isOn: boolean): void {
  const client = clients[index];
  if (client === undefined || isOn !== wanted || client.seenAtMs !== undefined) return;
  client.seenAtMs = monotonicMs();
  missing -= 1;
  if (missing === 0) report();
}

function report(): void {
  const seen = clients.map(({ family, seenAtMs = NaN }) => ({ family, atMs: seenAtMs }));
  const message: Report = { seen, problems };
  wanted = undefined;
  problems = [];
  process.send?.(message);
}

process.on('message', ({ on, streams }: Order) => {
  wanted = on;
  missing = count;
  for (const client of clients) client.seenAtMs = undefined;
  if (streams === 'open') openAll();
  if (streams === 'break') for (const { stream } of clients) stream.breakAndReturn();
});
process.once('disconnect', () => process.exit(0));
