/** What a command came to; also what a repeated call with the same idempotency key gets back. */
import { z } from 'zod';

export const ReceiptSchema = z.strictObject({
  /** `already-done` changed nothing, because it had happened before. */
  outcome: z.enum(['done', 'already-done']),
  /** One sentence for people. */
  message: z.string(),
  /** The document that the command was about. */
  id: z.string(),
  /** The revision at which the change is, or was found to be. */
  revision: z.int().nonnegative().default(0),
});
export type Receipt = z.infer<typeof ReceiptSchema>;

/** Reads a receipt back from an idempotency record. */
export function readReceipt(answer: unknown): Receipt {
  return ReceiptSchema.parse(answer);
}
