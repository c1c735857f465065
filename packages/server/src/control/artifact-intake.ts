/** Takes uploaded model files in: refuses what could run code, stores by digest, and loads once to see what it is. */
import type { ArtifactView } from '@understudy/contract/views';
import { AppError } from '@understudy/core/errors';
import type { Signature } from '@understudy/core/model-version';
import { refuseExecutableFormat } from '../storage/artifact-format.ts';
import type { ArtifactStore } from '../storage/artifact-store.ts';
import type { ArtifactIntake } from './ports.ts';

/** What the intake needs: where files are kept, and somebody who can load them. */
export interface IntakePorts {
  readonly files: ArtifactStore;
  /** Loads the file once and reads its signature. */
  readonly inspect: (path: string) => Promise<Signature>;
  /** Runs rows of features through a file and returns the recorded prediction of each. */
  readonly predict: (path: string, signature: Signature, rows: readonly (readonly number[])[]) => Promise<readonly number[]>;
  readonly maxBytes: number;
}

// Enough to recognise every format that is refused by its first bytes.
const HEAD_BYTES = 1024;

export function openArtifactIntake({ files, inspect, predict, maxBytes }: IntakePorts): ArtifactIntake {
  const signatures = new Map<string, Signature>();

  async function signatureOf(sha256: string): Promise<Signature> {
    const known = signatures.get(sha256);
    if (known !== undefined) return known;
    const signature = await inspect(files.path(sha256));
    signatures.set(sha256, signature);
    return signature;
  }

  async function find(sha256: string): Promise<ArtifactView | undefined> {
    if (!(await files.has(sha256))) return undefined;
    const { bytes } = await files.verify(sha256);
    return { sha256, bytes, signature: await signatureOf(sha256) };
  }

  return {
    find,
    async put(bytes, fileName) {
      const stored = await files.put(refuseEarly(bytes, fileName), { maxBytes });
      try {
        return { sha256: stored.sha256, bytes: stored.bytes, signature: await signatureOf(stored.sha256) };
      } catch (error) {
        // A file that was here before may be a version's; it was good then.
        if (stored.isNew) await files.remove(stored.sha256);
        throw error;
      }
    },
    async predict(sha256, rows) {
      const found = await find(sha256);
      if (found === undefined) throw new AppError('artifact.not_found', `no file with sha256 ${sha256} has been uploaded`);
      return predict(files.path(sha256), found.signature, rows);
    },
  };
}

/** Passes the bytes on, once the first of them have shown that they are not a format that runs code when it is loaded. */
async function* refuseEarly(bytes: AsyncIterable<Uint8Array>, fileName: string | undefined): AsyncIterable<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array(0);
  for await (const chunk of bytes) {
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < HEAD_BYTES) continue;
    refuseExecutableFormat(head, fileName);
    yield head;
    head = undefined;
  }
  if (head !== undefined && head.length > 0) {
    refuseExecutableFormat(head, fileName);
    yield head;
  }
}
