/** Gets model files from control planes. They are checked by whoever stores them: what comes is no more than bytes. */
import { AppError } from '@understudy/core/errors';
import type { FeedPorts } from '@understudy/feed/ports';
import { sentenceOf } from '@understudy/feed/problem';

export interface DownloadOptions {
  readonly urls: readonly string[];
  readonly token: string;
  /** Ends every download. */
  readonly closing: AbortSignal;
  readonly ports: Pick<FeedPorts, 'fetch' | 'after'>;
}

// Of a control plane, before its answer and in the midst of it; another one may have the file at once.
const LONGEST_SILENCE_MS = 10_000;

/**
 * The bytes of a file, from the first control plane that has it.
 * @throws AppError `artifact.not_found` when none that answers has it
 */
export async function fetchArtifact(options: DownloadOptions, sha256: string): Promise<AsyncIterable<Uint8Array>> {
  const said: string[] = [];
  for (const url of options.urls) {
    const patience = openPatience(options);
    try {
      const response = await options.ports.fetch(`${url}/gateways/v1/artifacts/${sha256}`, {
        headers: { authorization: `Bearer ${options.token}` },
        redirect: 'error',
        signal: patience.signal,
      });
      if (response.status === 200 && response.body !== null) return heard(response.body, patience);
      await response.body?.cancel();
      said.push(`${url} answers ${response.status}`);
    } catch (error) {
      said.push(`${url}: ${sentenceOf(error)}`);
    }
    patience.end();
  }
  throw new AppError(
    'artifact.not_found',
    `no control plane gives the model file ${sha256}: ${said.join('; ')}. All control planes of one store need one folder of model files (--data)`,
  );
}

interface Patience {
  /** Aborted when nothing comes for too long. */
  readonly signal: AbortSignal;
  /** Something is waited for from now on. */
  begin(): void;
  /** Nothing is. */
  end(): void;
}

/** Begins to wait. */
function openPatience({ closing, ports }: Pick<DownloadOptions, 'closing' | 'ports'>): Patience {
  const silent = new AbortController();
  let cancel = (): void => {};
  const begin = (): void => {
    cancel = ports.after(LONGEST_SILENCE_MS, () => silent.abort(new Error(`nothing came for ${LONGEST_SILENCE_MS} ms`)));
  };
  begin();
  return { signal: AbortSignal.any([closing, silent.signal]), begin, end: () => cancel() };
}

/** Whoever takes the bytes may take its time. */
async function* heard(body: AsyncIterable<Uint8Array>, patience: Patience): AsyncGenerator<Uint8Array> {
  try {
    for await (const bytes of body) {
      patience.end();
      yield bytes;
      patience.begin();
    }
  } finally {
    patience.end();
  }
}
