/** Lengths of time as people write them (`90s`, `24h`). Plans, configuration and the CLI depend on it. */

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds of a text such as `250ms`, `90s`, `10m`, `1h30m` or `7d`.
 * @returns undefined when the text is not a length of time
 */
export function parseDuration(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  }
  if (!Number.isFinite(totalMs)) return undefined;
  // Decimal fractions are not exact in binary: 1.005 × 1000 is a hair below 1005. A nanosecond is finer than any clock here.
  const wholeMs = Math.round(totalMs);
  return Math.abs(totalMs - wholeMs) < 1e-6 ? wholeMs : totalMs;
}

/**
 * The shortest usual writing of a length of time, rounded to what a reader needs: `850ms`, `12s`, `4m 10s`, `2h 5m`, `3d 4h`.
 * @param ms milliseconds, ≥ 0
 */
export function formatDuration(ms: number): string {
  if (Math.round(ms) < 1000) return `${Math.round(ms)}ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return joinUnits(seconds, 60, 'ms');
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return joinUnits(minutes, 60, 'hm');
  return joinUnits(Math.round(minutes / 60), 24, 'dh');
}

/** `units` is the letter of the larger unit, then that of the smaller one. */
function joinUnits(amount: number, size: number, units: string): string {
  const rest = amount % size;
  const whole = `${Math.floor(amount / size)}${units[0]}`;
  return rest === 0 ? whole : `${whole} ${rest}${units[1]}`;
}
