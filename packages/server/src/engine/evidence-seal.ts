/** Sees to it that what a control plane has judged stays as it is, however long reports take into the store. */
import { sealOf } from '@understudy/core/evidence-pool';
import type { Store } from '../storage/store.ts';

export interface EvidenceSeal {
  /** Resolves when no report can come any more that counts in an interval which is closed at this moment. */
  until(atMs: number): Promise<void>;
}

interface Sealed {
  readonly store: Pick<Store, 'sealEvidence'>;
  readonly environment: string;
}

/** The store is asked once a second at most, whoever asks here. */
export function openEvidenceSeal({ store, environment }: Sealed): EvidenceSeal {
  let sealedMs = -Infinity;
  return {
    async until(atMs) {
      const sealMs = sealOf(atMs);
      if (sealMs <= sealedMs) return;
      await store.sealEvidence(environment, sealMs);
      sealedMs = Math.max(sealedMs, sealMs);
    },
  };
}
