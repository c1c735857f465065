/** Where the demo talks: lines that stay, and on a terminal a block below them that is redrawn. */
import { createLogUpdate } from 'log-update';
import { type Palette, paletteOf } from './palette.ts';

/** The streams and wishes that the demo is started with. */
export interface DemoIo {
  readonly stdout: NodeJS.WritableStream;
  /** Whether stdout is a terminal. */
  readonly isTty: boolean;
  /** Whether colours are wanted; without them nothing is redrawn either, so that a log reads from top to bottom. */
  readonly isColored: boolean;
  /** Width of the terminal; 80 where there is none. */
  readonly columns: number;
}

export interface Screen {
  readonly palette: Palette;
  /** Between 80 and 100: narrower terminals wrap by themselves, wider lines are hard to read. */
  readonly columns: number;
  /** Lines that stay. */
  print(...lines: readonly string[]): void;
  /** Replaces the block at the bottom; without a terminal nothing happens. */
  live(lines: readonly string[]): void;
}

const NARROWEST = 80;
const WIDEST = 100;

export function openScreen(io: DemoIo): Screen {
  const columns = Math.min(WIDEST, Math.max(NARROWEST, io.columns));
  const palette = paletteOf(io.isColored);
  const write = (lines: readonly string[]): void => void io.stdout.write(`${lines.join('\n')}\n`);
  if (!io.isTty || !io.isColored) return { palette, columns, print: (...lines) => write(lines), live: () => undefined };
  // The cursor stays: hiding it would need a signal handler of its own to bring it back.
  const block = createLogUpdate(io.stdout, { showCursor: true });
  return {
    palette,
    columns,
    print(...lines) {
      block.clear();
      write(lines);
    },
    live: (lines) => block(lines.join('\n')),
  };
}
