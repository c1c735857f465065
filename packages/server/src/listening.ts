/** Addresses of what listens in this process, and why it cannot. The wiring depends on it. */
import { AppError } from '@understudy/core/errors';

/** An address on this machine for what listens on all of its interfaces. */
export function localUrlOf(url: string): string {
  return url.replace('[::]', '127.0.0.1').replace('0.0.0.0', '127.0.0.1');
}

/** An error of listening, in the words of a person; any other as it is. */
export function portError(error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && 'port' in error)) return error;
  if (error.code === 'EADDRINUSE') {
    return new AppError(
      'config.invalid',
      `cannot listen on port ${String(error.port)}: another program does. Choose another one with --control-port or --gateway-port.`,
      { cause: error },
    );
  }
  return error.code === 'EACCES'
    ? new AppError('config.invalid', `this user may not listen on port ${String(error.port)}`, { cause: error })
    : error;
}
