/** Looks SDK keys up, such that a look-up which fails is never taken for a key that is unknown: SDKs give up for good on that. */
import type { KeyCheck, ProtocolPorts } from '../flag-world.ts';

type KeyPorts = Pick<ProtocolPorts, 'keys' | 'log'>;

export async function checkKey({ keys, log }: KeyPorts, secret: string): Promise<KeyCheck> {
  try {
    return await keys.check(secret);
  } catch (error) {
    log.warn({ err: error }, 'protocol.key_check_failed');
    return { outcome: 'unavailable' };
  }
}

/** Whether a stream of rules, which outlives the look at its key by days, may stay open. */
export async function mayStay(ports: KeyPorts, secret: string): Promise<boolean> {
  const check = await checkKey(ports, secret);
  return check.outcome === 'unavailable' || (check.outcome === 'known' && check.use === 'server');
}
