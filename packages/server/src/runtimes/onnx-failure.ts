/** What onnxruntime says when something fails, made fit for people and for the way between threads. The ONNX files depend on it. */
import { AppError, type ErrorCode } from '@understudy/core/errors';

/** An error as it travels between threads and processes, where classes are lost; no code means a bug of ours. */
export interface Failure {
  readonly code?: ErrorCode;
  readonly message: string;
}

// Long enough for onnxruntime's own sentence, short enough for one line in a log or a terminal.
const REASON_MAX_CHARS = 240;

/** Shape of onnxruntime's run errors: which node failed, and why. */
const NODE_FAILED =
  /^Non-zero status code returned while running (?<kind>\S+) node\. Name:'(?<name>[^']*)' Status Message: (?<cause>.*)$/;

/**
 * One line on why onnxruntime failed.
 * @param path the model's file, which the line must not show
 */
export function reasonOf(error: unknown, path?: string): string {
  const message = error instanceof Error ? error.message : String(error);
  const line = withoutPaths(path === undefined ? message : message.replaceAll(path, ''));
  const node = NODE_FAILED.exec(line)?.groups;
  const told = node === undefined ? line : `${node['kind'] ?? ''} node${quoted(node['name'])}: ${node['cause'] ?? ''}`;
  const reason = told.replace(/^(?:Load model\s+(?:from\s+)?failed[:.]\s*)+/, '').replace(/[\s.]+$/, '');
  return reason.length <= REASON_MAX_CHARS ? reason : `${reason.slice(0, REASON_MAX_CHARS - 1)}…`;
}

export function failureOf(error: unknown): Failure {
  if (error instanceof AppError) return { code: error.code, message: error.message };
  return { message: error instanceof Error ? error.message : String(error) };
}

export function errorOf(failure: Failure): Error {
  return failure.code === undefined ? new Error(failure.message) : new AppError(failure.code, failure.message);
}

// A source position in onnxruntime ("/…/gather.cc:65 onnxruntime::common::Status f(…) const ") and any other absolute path.
// Names of nodes look like paths too; they stand in quotes and stay.
function withoutPaths(message: string): string {
  return message
    .replace(/\s+/g, ' ')
    .replace(/(?:[A-Za-z]:)?[\\/][^\s'"]*\.(?:cc|cpp|h):\d+ (?:[^()]*\([^()]*\)(?: const| noexcept)* )?/g, '')
    .replace(/(?<![\w'"])(?:[A-Za-z]:)?[\\/](?:[^\s:'"]+[\\/])+[^\s:'"]*/g, '')
    .replace(/ {2,}/g, ' ')
    .trim();
}

function quoted(name: string | undefined): string {
  return name === undefined || name === '' ? '' : ` "${name}"`;
}
