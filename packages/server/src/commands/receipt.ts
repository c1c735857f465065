/** What a command came to; but for the revision also what a repeated call with the same idempotency key gets back. */
import { z } from 'zod';

const StoredReceipt = z.strictObject({
  /** `already-done` changed nothing, because it had happened before. */
  outcome: z.enum(['done', 'already-done']),
  /** One sentence for people. */
  message: z.string(),
  /** The document that the command was about. */
  id: z.string(),
});

export interface Receipt extends z.infer<typeof StoredReceipt> {
  /** A revision at which the change is there. */
  readonly revision: number;
}

/** Reads a receipt back from an idempotency record. */
export function readReceipt(answer: unknown): Omit<Receipt, 'revision'> {
  return StoredReceipt.parse(answer);
}
