/** What a change came to, as the API answers it. */
import type { Outcome } from '@understudy/contract/views';
import type { Receipt } from '../commands/receipt.ts';

export function outcomeOf({ outcome, message, revision }: Receipt): Outcome {
  return { outcome, message, revision };
}
