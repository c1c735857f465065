/**
 * A store in one file: a header, a line of JSON for each record, and a last line with the number of records and a SHA-256
 * over everything before it; all of it compressed with gzip. Every backend can be filled from it.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { AppError } from '@understudy/core/errors';
import { z } from 'zod';
import { DumpRecord } from './store-dump.ts';

const FORMAT = 1;
const Header = z.strictObject({ understudyBackup: z.int(), release: z.string(), atMs: z.number() });
const Footer = z.strictObject({ end: z.literal(true), records: z.int().nonnegative(), sha256: z.string() });
// Far above the largest journal entry that the API lets in, and below what would fill the memory.
const LONGEST_LINE = 256 * 1024 * 1024;

/** Who wrote a backup, and when. */
export interface BackupStamp {
  readonly release: string;
  readonly atMs: number;
}

/**
 * Writes a new file: whole and on stable storage, or not at all. Readable for its owner only, for it holds secrets.
 * @throws AppError `store.write_failed` when the disk refuses or the file exists
 */
export async function writeBackup(file: string, records: AsyncIterable<DumpRecord>, stamp: BackupStamp): Promise<void> {
  const draft = `${file}.part`;
  await onDisk(`create ${draft}`, async () => (await open(draft, 'wx', 0o600)).close());
  try {
    // `flush`: on stable storage before it is closed.
    await pipeline(linesOf(records, stamp), createGzip(), createWriteStream(draft, { flush: true }));
    await onDisk(`name ${file}`, () => takeName(draft, file));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function* linesOf(records: AsyncIterable<DumpRecord>, { release, atMs }: BackupStamp): AsyncGenerator<string> {
  const digest = createHash('sha256');
  const line = (value: object): string => {
    const text = `${JSON.stringify(value)}\n`;
    digest.update(text);
    return text;
  };
  yield line({ understudyBackup: FORMAT, release, atMs });
  let count = 0;
  for await (const record of records) {
    count += 1;
    yield line(record);
  }
  yield `${JSON.stringify({ end: true, records: count, sha256: digest.digest('hex') })}\n`;
}

/**
 * The records of a backup. Throws at its end when anything is missing or was changed, so whoever takes them must be able
 * to give all of them back.
 * @throws AppError `store.corrupt` when the file is damaged, `config.invalid` when it is no backup of a known format
 */
export async function* readBackup(file: string): AsyncGenerator<DumpRecord> {
  const digest = createHash('sha256');
  let records = 0;
  let isBegun = false;
  let end: z.infer<typeof Footer> | undefined;
  for await (const line of linesIn(file)) {
    if (end !== undefined) throw damaged(file, 'something comes after its end');
    const value = parsed(file, line);
    if (!isBegun) refuseUnknown(file, value);
    const footer = Footer.safeParse(value);
    if (footer.success) {
      end = footer.data;
      continue;
    }
    digest.update(`${line}\n`);
    if (isBegun) {
      const record = DumpRecord.safeParse(value);
      if (!record.success) throw damaged(file, `record ${records + 1} is none: ${z.prettifyError(record.error)}`);
      records += 1;
      yield record.data;
    }
    isBegun = true;
  }
  if (end === undefined) throw damaged(file, 'its end is missing');
  if (end.records !== records || end.sha256 !== digest.digest('hex'))
    throw damaged(file, 'its content does not match its checksum');
}

async function* linesIn(file: string): AsyncGenerator<string> {
  const source = createReadStream(file);
  const unzipped = createGunzip();
  source.on('error', (error) => unzipped.destroy(error));
  source.pipe(unzipped);
  let rest: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of unzipped) {
      let begin = 0;
      const bytes = z.instanceof(Buffer).parse(chunk);
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, begin)) {
        yield Buffer.concat([...rest, bytes.subarray(begin, end)]).toString('utf8');
        rest = [];
        length = 0;
        begin = end + 1;
      }
      rest.push(bytes.subarray(begin));
      length += bytes.length - begin;
      if (length > LONGEST_LINE) throw damaged(file, 'a line of it does not end');
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (error instanceof Error && 'syscall' in error) {
      throw new AppError('config.invalid', `cannot read the backup ${file}: ${error.message}`, { cause: error });
    }
    throw damaged(file, error instanceof Error ? error.message : String(error));
  } finally {
    source.destroy();
  }
  if (length > 0) throw damaged(file, 'its last line is cut off');
}

function parsed(file: string, line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw damaged(file, 'a line of it is not JSON');
  }
}

function refuseUnknown(file: string, value: unknown): void {
  const header = Header.safeParse(value);
  if (!header.success) throw new AppError('config.invalid', `${file} is not a backup of Understudy: its first line is another`);
  if (header.data.understudyBackup === FORMAT) return;
  const { understudyBackup, release } = header.data;
  throw new AppError(
    'config.invalid',
    `${file} has the format ${understudyBackup}, and this release knows ${FORMAT}; restore it with release ${release}`,
  );
}

function damaged(file: string, problem: string): AppError {
  return new AppError('store.corrupt', `cannot restore ${file}: ${problem}; nothing was restored, use an older backup`);
}

async function takeName(draft: string, file: string): Promise<void> {
  // Exclusive, so that of two backups under one name neither is lost; the rename then takes the place of an empty file.
  await (await open(file, 'wx', 0o600)).close();
  await rename(draft, file);
  const directory = await open(path.dirname(path.resolve(file)), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function onDisk<T>(attempt: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const fix = 'choose another name, or check the disk and the rights on its directory';
    throw new AppError('store.write_failed', `cannot ${attempt}: ${said}; ${fix}`, { cause: error });
  }
}
