/** Colours, or none, by flag, environment and terminal. Everything that renders text depends on it. */
import { styleText } from 'node:util';

/** Each takes text and gives it back, styled where colours are wanted. */
export interface Palette {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

export interface ColorWish {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTty: boolean;
  /** False with `--no-color`. */
  readonly flag: boolean;
}

/** `--no-color` beats FORCE_COLOR, which beats NO_COLOR, which beats what the terminal is. */
export function wantsColor({ env, isTty, flag }: ColorWish): boolean {
  if (!flag) return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false';
  if ((env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb') return false;
  return isTty;
}

export function paletteOf(isColored: boolean): Palette {
  const style = (format: Parameters<typeof styleText>[0]) => (text: string) =>
    isColored ? styleText(format, text, { validateStream: false }) : text;
  return { bold: style('bold'), dim: style('dim'), red: style('red'), green: style('green'), yellow: style('yellow') };
}
