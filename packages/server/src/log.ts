/** The process's log: one JSON object a line on stderr, an event with fields. Secrets never reach it. */
import { type Logger, pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Opens the log. Fields that could carry a token are blotted out, wherever they come from. */
export function openLog(level: LogLevel): Logger {
  const paths = [
    'authorization',
    '*.authorization',
    'headers.authorization',
    '*.headers.authorization',
    'secret',
    '*.secret',
    'token',
    '*.token',
  ];
  return pino({ level, redact: { paths, censor: '***' }, base: null }, pino.destination({ dest: 2, sync: true }));
}
