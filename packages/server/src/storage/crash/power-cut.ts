/** A disk that keeps what was synced and may lose, tear or reorder the rest. Turns a log of calls into crash images. */
import type { DiskEvent } from './syscall-log.ts';

/** Files as found after the power came back, and what had been acknowledged before it went. */
export interface CrashImage {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly acked: readonly number[];
}

type FileChange = Extract<DiskEvent, { type: 'write' | 'truncate' }>;

interface Content {
  bytes: Buffer;
  length: number;
}

interface DiskFile {
  readonly durable: Content;
  pending: FileChange[];
}

interface Disk {
  /** Files by name as the process sees them, and as the directory on the disk has them. */
  present: Map<string, DiskFile>;
  durable: Map<string, DiskFile>;
  /** Changes of names since the directory was synced; no file means that the name went away. */
  pendingNames: { readonly name: string; readonly file: DiskFile | undefined }[];
  readonly acked: number[];
}

// What a disk writes as one; a page of the database is several of them.
const SECTOR = 512;

/**
 * One image for each moment: the disk as it may be when the power goes after so many events. What was not synced
 * survives by `random`, each change on its own.
 * @param moments counts of events, ascending
 */
export function* crashImages(
  events: readonly DiskEvent[],
  moments: readonly number[],
  random: () => number,
): Generator<CrashImage> {
  const disk: Disk = { present: new Map(), durable: new Map(), pendingNames: [], acked: [] };
  let happened = 0;
  for (const moment of moments) {
    for (const event of events.slice(happened, moment)) happen(disk, event);
    happened = moment;
    yield imageOf(disk, random);
  }
}

function happen(disk: Disk, event: DiskEvent): void {
  switch (event.type) {
    case 'ack':
      disk.acked.push(event.operation);
      break;
    case 'sync-directory':
      disk.durable = new Map(disk.present);
      disk.pendingNames = [];
      break;
    case 'create': {
      const file: DiskFile = { durable: { bytes: Buffer.alloc(0), length: 0 }, pending: [] };
      disk.present.set(event.name, file);
      disk.pendingNames.push({ name: event.name, file });
      break;
    }
    case 'unlink':
      disk.present.delete(event.name);
      disk.pendingNames.push({ name: event.name, file: undefined });
      break;
    case 'write':
    case 'truncate':
      fileOf(disk, event.name).pending.push(event);
      break;
    case 'sync': {
      const file = fileOf(disk, event.name);
      for (const change of file.pending) apply(file.durable, change);
      file.pending = [];
      break;
    }
  }
}

function fileOf({ present }: Disk, name: string): DiskFile {
  const file = present.get(name);
  if (file === undefined) throw new Error(`the log changes "${name}", which it has not created`);
  return file;
}

function imageOf({ durable, pendingNames, acked }: Disk, random: () => number): CrashImage {
  const names = new Map(durable);
  for (const { name, file } of pendingNames) {
    if (random() < 0.5) continue;
    if (file === undefined) names.delete(name);
    else names.set(name, file);
  }
  const files = [...names].map(([name, file]) => [name, survivorOf(file, random)] as const);
  return { files: new Map(files), acked: [...acked] };
}

function survivorOf({ durable, pending }: DiskFile, random: () => number): Buffer {
  const content: Content = { bytes: Buffer.from(durable.bytes), length: durable.length };
  for (const change of pending) {
    const fate = random();
    if (fate < 0.45) continue;
    apply(content, fate < 0.55 ? torn(change, random) : change);
  }
  return content.bytes.subarray(0, content.length);
}

function apply(content: Content, change: FileChange): void {
  if (change.type === 'truncate') {
    resize(content, change.length);
    return;
  }
  const end = change.offset + change.data.length;
  if (end > content.length) resize(content, end);
  change.data.copy(content.bytes, change.offset);
}

function resize(content: Content, length: number): void {
  if (length > content.bytes.length) {
    content.bytes = Buffer.concat([content.bytes, Buffer.alloc(Math.max(length, 65_536))]);
  }
  // What comes back after a truncation is zeros.
  content.bytes.fill(0, Math.min(length, content.length), content.length);
  content.length = length;
}

/** Only the beginning or only the end of a write arrives. */
function torn(change: FileChange, random: () => number): FileChange {
  if (change.type === 'truncate' || change.data.length <= SECTOR) return change;
  const cut = SECTOR * Math.floor((random() * change.data.length) / SECTOR);
  if (random() < 0.5) return { ...change, data: change.data.subarray(0, cut) };
  return { ...change, offset: change.offset + cut, data: change.data.subarray(cut) };
}
