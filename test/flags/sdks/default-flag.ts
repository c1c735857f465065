/** What Flagsmith's SDK is told to give for a flag it does not know. Both of its adapters depend on it. */
import { DefaultFlag } from 'flagsmith-nodejs';
import { NO_VALUE } from './sdk-adapter.ts';

export function defaultFlag(): DefaultFlag {
  return new DefaultFlag(NO_VALUE, false);
}
