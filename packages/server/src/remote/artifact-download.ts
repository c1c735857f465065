/** Gets model files from control planes. They are checked by whoever stores them: what comes is no more than bytes. */
import { AppError } from '@understudy/core/errors';
import { sentenceOf } from '@understudy/feed/problem';

export interface DownloadOptions {
  readonly urls: readonly string[];
  readonly token: string;
  readonly fetch: typeof fetch;
}

/**
 * The bytes of a file, from the first control plane that has it.
 * @throws AppError `artifact.not_found` when none that answers has it
 */
export async function fetchArtifact({ urls, token, fetch }: DownloadOptions, sha256: string): Promise<AsyncIterable<Uint8Array>> {
  const said: string[] = [];
  for (const url of urls) {
    try {
      const response = await fetch(`${url}/gateways/v1/artifacts/${sha256}`, {
        headers: { authorization: `Bearer ${token}` },
        redirect: 'error',
      });
      if (response.status === 200 && response.body !== null) return response.body;
      await response.body?.cancel();
      said.push(`${url} answers ${response.status}`);
    } catch (error) {
      said.push(`${url}: ${sentenceOf(error)}`);
    }
  }
  throw new AppError(
    'artifact.not_found',
    `no control plane gives the model file ${sha256}: ${said.join('; ')}. All control planes of one store need one folder of model files (--data)`,
  );
}
