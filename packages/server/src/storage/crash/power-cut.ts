/** A disk that keeps what was synced and may lose, tear or reorder the rest. Turns a log of calls into crash images. */
import type { DiskEvent } from './syscall-log.ts';

/** Files as found after the power came back, and what had been acknowledged before it went. */
export interface CrashImage {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly acked: readonly number[];
}

type FileChange = Extract<DiskEvent, { type: 'write' | 'truncate' }>;
type NameChange = { readonly name: string; readonly file: DiskFile | undefined };

interface DiskFile {
  durable: Buffer;
  pending: FileChange[];
}

// What a disk writes as one; a page of the database is several of them.
const SECTOR = 512;

/** The state of the disk when the power goes after the first `count` events. Un-synced changes survive by `random`. */
export function crashAfter(events: readonly DiskEvent[], count: number, random: () => number): CrashImage {
  const present = new Map<string, DiskFile>();
  let durable = new Map<string, DiskFile>();
  let pendingNames: NameChange[] = [];
  const acked: number[] = [];
  for (const event of events.slice(0, count)) {
    if (event.type === 'ack') acked.push(event.operation);
    else if (event.type === 'sync-directory') {
      durable = new Map(present);
      pendingNames = [];
    } else if (event.type === 'create' || event.type === 'unlink') {
      const file = event.type === 'create' ? { durable: Buffer.alloc(0), pending: [] } : undefined;
      if (file === undefined) present.delete(event.name);
      else present.set(event.name, file);
      pendingNames.push({ name: event.name, file });
    } else changeFile(fileOf(present, event.name), event);
  }
  for (const { name, file } of pendingNames) {
    // Half of the directory's un-synced changes happen, in whatever combination.
    if (random() < 0.5) continue;
    if (file === undefined) durable.delete(name);
    else durable.set(name, file);
  }
  const files = [...durable].map(([name, file]) => [name, survivorOf(file, random)] as const);
  return { files: new Map(files), acked };
}

function fileOf(present: ReadonlyMap<string, DiskFile>, name: string): DiskFile {
  const file = present.get(name);
  if (file === undefined) throw new Error(`the log changes "${name}", which it has not created`);
  return file;
}

function changeFile(file: DiskFile, event: FileChange | Extract<DiskEvent, { type: 'sync' }>): void {
  if (event.type !== 'sync') {
    file.pending.push(event);
    return;
  }
  file.durable = file.pending.reduce(applyChange, file.durable);
  file.pending = [];
}

function survivorOf(file: DiskFile, random: () => number): Buffer {
  let content = file.durable;
  for (const change of file.pending) {
    const fate = random();
    if (fate < 0.45) continue;
    content = applyChange(content, fate < 0.55 ? torn(change, random) : change);
  }
  return content;
}

function applyChange(content: Buffer, change: FileChange): Buffer {
  if (change.type === 'truncate') return resized(content, change.length);
  const end = change.offset + change.data.length;
  const grown = Buffer.from(end > content.length ? resized(content, end) : content);
  change.data.copy(grown, change.offset);
  return grown;
}

/** Only the beginning or only the end of a write arrives. */
function torn(change: FileChange, random: () => number): FileChange {
  if (change.type === 'truncate' || change.data.length <= SECTOR) return change;
  const cut = SECTOR * Math.ceil((random() * change.data.length) / SECTOR - 1);
  if (random() < 0.5) return { ...change, data: change.data.subarray(0, cut) };
  return { ...change, offset: change.offset + cut, data: change.data.subarray(cut) };
}

function resized(content: Buffer, length: number): Buffer {
  return length <= content.length ? content.subarray(0, length) : Buffer.concat([content, Buffer.alloc(length - content.length)]);
}
