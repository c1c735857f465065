/** A disk that keeps what was synced and may lose, tear or reorder the rest. Turns a log of calls into crash images. */
import path from 'node:path';
import type { DiskEvent } from './syscall-log.ts';

/** Files, by their path, as found after the power came back, and what had been acknowledged before it went. */
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

type Entry = DiskFile | 'directory';

/** What the disk takes over whole or not at all; no entry means that the name went away. */
type NameChange = readonly (readonly [name: string, entry: Entry | undefined])[];

interface Disk {
  /** By name, as the process sees them, and as the directories on the disk have them. */
  readonly present: Map<string, Entry>;
  readonly durable: Map<string, Entry>;
  /** Since the directory of the names was synced. */
  pendingNames: NameChange[];
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
    case 'create':
      rename(disk, [[event.name, { durable: { bytes: Buffer.alloc(0), length: 0 }, pending: [] }]]);
      break;
    case 'make-directory':
      rename(disk, [[event.name, 'directory']]);
      break;
    case 'rename':
      if (directoryOf(event.name) !== directoryOf(event.to)) throw new Error(`"${event.name}" moves to another directory`);
      rename(disk, [
        [event.name, undefined],
        [event.to, fileOf(disk, event.name)],
      ]);
      break;
    case 'unlink':
      rename(disk, [[event.name, undefined]]);
      break;
    case 'sync-directory':
      syncDirectory(disk, event.name);
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
  if (file === undefined || file === 'directory') throw new Error(`the log changes "${name}", which it has not created`);
  return file;
}

function rename({ present, pendingNames }: Disk, change: NameChange): void {
  take(present, change);
  pendingNames.push(change);
}

function take(names: Map<string, Entry>, change: NameChange): void {
  for (const [name, entry] of change) {
    if (entry === undefined) names.delete(name);
    else names.set(name, entry);
  }
}

function syncDirectory(disk: Disk, directory: string): void {
  const isWithin = (change: NameChange): boolean => change.every(([name]) => directoryOf(name) === directory);
  for (const change of disk.pendingNames.filter(isWithin)) take(disk.durable, change);
  disk.pendingNames = disk.pendingNames.filter((change) => !isWithin(change));
}

const directoryOf = (name: string): string => path.posix.dirname(name);

/** Names survive each on their own, so that a later one may be there without those before it. */
function imageOf({ durable, pendingNames, acked }: Disk, random: () => number): CrashImage {
  const names = new Map(durable);
  for (const change of pendingNames) {
    if (random() >= 0.5) take(names, change);
  }
  const files = new Map<string, Buffer>();
  for (const [name, entry] of names) {
    if (entry !== 'directory' && isReachable(names, name)) files.set(name, survivorOf(entry, random));
  }
  return { files, acked: [...acked] };
}

/** A file is lost with any of the directories above it. */
function isReachable(names: ReadonlyMap<string, Entry>, name: string): boolean {
  const above = directoryOf(name);
  return above === '.' || (names.has(above) && isReachable(names, above));
}

function survivorOf({ durable, pending }: DiskFile, random: () => number): Buffer {
  const content: Content = { bytes: Buffer.from(durable.bytes), length: durable.length };
  for (const change of pending) {
    const fate = random();
    if (fate < 0.45) continue;
    // Some file systems lengthen a file before its bytes arrive: what is read there is zeros.
    if (fate >= 0.55 && fate < 0.6) resize(content, Math.max(content.length, endOf(change)));
    else apply(content, fate < 0.55 ? torn(change, random) : change);
  }
  return content.bytes.subarray(0, content.length);
}

function apply(content: Content, change: FileChange): void {
  if (change.type === 'truncate') {
    resize(content, change.length);
    return;
  }
  if (endOf(change) > content.length) resize(content, endOf(change));
  change.data.copy(content.bytes, change.offset);
}

function endOf(change: FileChange): number {
  return change.type === 'truncate' ? 0 : change.offset + change.data.length;
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
