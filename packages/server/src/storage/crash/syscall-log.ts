/** What a process did to the files of one directory, read from a log of its system calls. The power-cut test replays it. */

/** One call that changes a disk, or tells somebody that it did. Paths are relative to the directory. */
export type DiskEvent =
  | { readonly type: 'create'; readonly name: string }
  | { readonly type: 'write'; readonly name: string; readonly offset: number; readonly data: Buffer }
  | { readonly type: 'truncate'; readonly name: string; readonly length: number }
  | { readonly type: 'sync'; readonly name: string }
  | { readonly type: 'sync-directory' }
  | { readonly type: 'unlink'; readonly name: string }
  | { readonly type: 'ack'; readonly operation: number };

/** Arguments for strace that make a log which {@link parseSyscalls} reads: whole data, every string in hexadecimal. */
export function straceArguments(log: string): string[] {
  const calls = 'openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,unlinkat,rename';
  return ['strace', '-y', '-xx', '-s', '10000000', '-e', `trace=${calls}`, '-o', log];
}

const CALL = /^(?<name>\w+)\((?<args>.*)\) += (?<result>-?\d+)/;
const STRING = /"((?:\\x[0-9a-f]{2})*)"/;
const OPEN_FILE = /^(\d+)<((?:\\x[0-9a-f]{2})*)>/;

/** @param directory absolute path of the directory that the process worked in */
export function parseSyscalls(log: string, directory: string): DiskEvent[] {
  const known = new Set<string>();
  const events: DiskEvent[] = [];
  for (const line of log.split('\n')) {
    const call = CALL.exec(line)?.groups;
    if (call === undefined || Number(call['result']) < 0) continue;
    const event = eventOf(call['name'] ?? '', call['args'] ?? '', directory);
    if (event === undefined) continue;
    if (event.type === 'create') {
      if (known.has(event.name)) continue;
      known.add(event.name);
    }
    if (event.type === 'unlink') known.delete(event.name);
    events.push(event);
  }
  return events;
}

function eventOf(call: string, args: string, directory: string): DiskEvent | undefined {
  const opened = OPEN_FILE.exec(args);
  const text = decode(STRING.exec(args)?.[1] ?? '');
  const file = opened === null ? text.toString() : decode(opened[2] ?? '').toString();
  if (call === 'write' && opened?.[1] === '1') return ackOf(text.toString());
  if (call === 'openat') return createOf(text.toString(), args, directory);
  if (file === directory) return call === 'fsync' || call === 'fdatasync' ? { type: 'sync-directory' } : undefined;
  const name = nameIn(directory, file);
  if (name === undefined) return undefined;
  switch (call) {
    case 'pwrite64':
      return { type: 'write', name, offset: Number(args.slice(args.lastIndexOf(',') + 1)), data: text };
    case 'ftruncate':
      return { type: 'truncate', name, length: Number(args.slice(args.lastIndexOf(',') + 1)) };
    case 'fsync':
    case 'fdatasync':
      return { type: 'sync', name };
    case 'unlink':
      return { type: 'unlink', name };
    default:
      throw new Error(`the log has a ${call} on "${name}", which the disk model does not know`);
  }
}

function ackOf(line: string): DiskEvent | undefined {
  const operation = /^ack (\d+) /.exec(line)?.[1];
  return operation === undefined ? undefined : { type: 'ack', operation: Number(operation) };
}

function createOf(file: string, args: string, directory: string): DiskEvent | undefined {
  const name = nameIn(directory, file);
  return name !== undefined && args.includes('O_CREAT') ? { type: 'create', name } : undefined;
}

/** The file's name when it lies in the directory; files that only inform people (locks) are left out. */
function nameIn(directory: string, file: string): string | undefined {
  const name = file.startsWith(`${directory}/`) ? file.slice(directory.length + 1) : undefined;
  return name === undefined || name.includes('/') || name.includes('.lock') ? undefined : name;
}

function decode(escaped: string): Buffer {
  return Buffer.from(escaped.replaceAll('\\x', ''), 'hex');
}
