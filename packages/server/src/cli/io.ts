/** Where a command reads and writes. Tests give streams of their own; `run-process.ts` gives the real ones. */
import type { Readable, Writable } from 'node:stream';

export interface CliIo {
  readonly stdin: Readable;
  /** Data. */
  readonly stdout: Writable;
  /** Talk. */
  readonly stderr: Writable;
  /** Whether stdout is a terminal: decides on colours and redrawing. */
  readonly isTty: boolean;
  /** Whether a person can be asked: stdin and stderr are terminals. `isTty` when left out. */
  readonly canAsk?: boolean;
  /** Width of the terminal; 80 where there is none. */
  readonly columns: number;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** All of a stream as text. */
export async function readAll(stream: Readable): Promise<string> {
  let text = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream) text += String(chunk);
  return text;
}
