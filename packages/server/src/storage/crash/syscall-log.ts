/** What a process did to the files of one directory, read from a log of its system calls. The power-cut tests replay it. */
import path from 'node:path';

/** One call that changes a disk, or tells somebody that it did. Paths are relative to the directory, which is `.` itself. */
export type DiskEvent =
  | { readonly type: 'create'; readonly name: string }
  | { readonly type: 'make-directory'; readonly name: string }
  | { readonly type: 'write'; readonly name: string; readonly offset: number; readonly data: Buffer }
  | { readonly type: 'truncate'; readonly name: string; readonly length: number }
  | { readonly type: 'sync'; readonly name: string }
  | { readonly type: 'sync-directory'; readonly name: string }
  | { readonly type: 'rename'; readonly name: string; readonly to: string }
  | { readonly type: 'unlink'; readonly name: string }
  | { readonly type: 'ack'; readonly operation: number };

// All that change files or names. What the parser does not know it refuses, so that nothing is left out silently.
const CALLS = [
  'openat,creat,write,writev,pwrite64,pwritev,ftruncate,fallocate,fsync,fdatasync',
  'unlink,unlinkat,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,rmdir',
];

/** Arguments for strace that make a log which {@link parseSyscalls} reads: all threads, whole data, strings in hexadecimal. */
export function straceArguments(log: string): string[] {
  return ['strace', '-f', '-y', '-xx', '-s', '10000000', '-e', `trace=${CALLS.join(',')}`, '-o', log];
}

const UNFINISHED = ' <unfinished ...>';
const RESUMED = /^<\.\.\. \w+ resumed>/;
const CALL = /^(?<name>\w+)\((?<args>.*)\) += (?<result>-?\d+)/;
const STRINGS = /"((?:\\x[0-9a-f]{2})*)"/g;
const OPEN_FILE = /^(\d+)<((?:\\x[0-9a-f]{2})*)>/;

interface Call {
  readonly name: string;
  readonly args: string;
  readonly result: number;
}

/** What is known of the directory so far. */
interface Seen {
  readonly directory: string;
  readonly files: Set<string>;
  readonly directories: Set<string>;
  /** Where the next plain write to a descriptor goes. */
  readonly positions: Map<string, number>;
}

/** @param directory absolute path of the directory that the process worked in; it was empty */
export function parseSyscalls(log: string, directory: string): DiskEvent[] {
  const seen: Seen = { directory, files: new Set(), directories: new Set(['.']), positions: new Map() };
  return [...callsIn(log)].flatMap((call) => eventOf(call, seen) ?? []);
}

/** The calls that took effect, in the order in which they ended. */
function* callsIn(log: string): Generator<Call> {
  const begun = new Map<string, string>();
  for (const line of log.split('\n')) {
    const thread = /^\d+ +/.exec(line)?.[0] ?? '';
    const text = line.slice(thread.length);
    if (text.endsWith(UNFINISHED)) {
      begun.set(thread, text.slice(0, -UNFINISHED.length));
      continue;
    }
    const whole = RESUMED.test(text) ? text.replace(RESUMED, () => begun.get(thread) ?? '') : text;
    const { name = '', args = '', result = '-1' } = CALL.exec(whole)?.groups ?? {};
    // A call that strace answered itself has reached no disk.
    if (Number(result) >= 0 && !whole.endsWith('(INJECTED)')) yield { name, args, result: Number(result) };
  }
}

function eventOf({ name: call, args, result }: Call, seen: Seen): DiskEvent | undefined {
  const opened = OPEN_FILE.exec(args);
  const texts = Array.from(args.matchAll(STRINGS), ([, escaped]) => decode(escaped ?? ''));
  const text = texts[0] ?? Buffer.alloc(0);
  if (call === 'write' && opened?.[1] === '1') return ackOf(text.toString());
  const name = nameIn(seen, opened === null ? text.toString() : decode(opened[2] ?? '').toString());
  if (name === undefined) return undefined;
  switch (call) {
    case 'openat':
      return openOf(name, { args, descriptor: String(result) }, seen);
    case 'mkdir':
    case 'mkdirat':
      seen.directories.add(name);
      return { type: 'make-directory', name };
    case 'pwrite64':
      return { type: 'write', name, offset: lastNumber(args), data: text };
    case 'write':
      return { type: 'write', name, offset: positionAfter(opened?.[1] ?? '', result, seen), data: text };
    case 'ftruncate':
      return { type: 'truncate', name, length: lastNumber(args) };
    case 'fsync':
    case 'fdatasync':
      return { type: seen.directories.has(name) ? 'sync-directory' : 'sync', name };
    case 'rename':
    case 'renameat':
      return renameOf(name, nameIn(seen, texts[1]?.toString() ?? ''), seen);
    case 'unlink':
      seen.files.delete(name);
      return { type: 'unlink', name };
    default:
      throw new Error(`the log has a ${call} on "${name}", which the disk model does not know`);
  }
}

function ackOf(line: string): DiskEvent | undefined {
  const operation = /^ack (\d+)\s/.exec(line)?.[1];
  return operation === undefined ? undefined : { type: 'ack', operation: Number(operation) };
}

function openOf(
  name: string,
  { args, descriptor }: { readonly args: string; readonly descriptor: string },
  { files, positions }: Seen,
): DiskEvent | undefined {
  if (args.includes('O_APPEND')) positions.delete(descriptor);
  else positions.set(descriptor, 0);
  if (files.has(name)) return args.includes('O_TRUNC') ? { type: 'truncate', name, length: 0 } : undefined;
  if (!args.includes('O_CREAT')) return undefined;
  files.add(name);
  return { type: 'create', name };
}

/** @returns where the write began; the next one begins where it ended */
function positionAfter(descriptor: string, length: number, { positions }: Seen): number {
  const position = positions.get(descriptor);
  if (position === undefined) throw new Error(`the log has a write at a place that it does not say: ${descriptor}`);
  positions.set(descriptor, position + length);
  return position;
}

function renameOf(name: string, to: string | undefined, { files }: Seen): DiskEvent {
  if (to === undefined || !files.delete(name)) throw new Error(`the log moves "${name}" to where the disk model does not look`);
  files.add(to);
  return { type: 'rename', name, to };
}

/** The name within the directory; files that only inform people (locks) are left out. */
function nameIn({ directory }: Seen, file: string): string | undefined {
  if (file !== directory && !file.startsWith(`${directory}/`)) return undefined;
  return file.includes('.lock') ? undefined : path.posix.relative(directory, file) || '.';
}

function lastNumber(args: string): number {
  return Number(args.slice(args.lastIndexOf(',') + 1));
}

function decode(escaped: string): Buffer {
  return Buffer.from(escaped.replaceAll('\\x', ''), 'hex');
}
