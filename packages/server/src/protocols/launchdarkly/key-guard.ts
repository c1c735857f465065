/** Lets requests in by their SDK key. SDKs stop for good on 401 and 403: those are said only when sure. */
import { AppError } from '@understudy/core/errors';
import { admit } from '../edge/admission.ts';
import type { ProtocolPorts } from '../flag-world.ts';

/** @returns the name of the key @throws AppError with the status to answer */
export async function admitKey(secret = '', ports: Pick<ProtocolPorts, 'world' | 'keys' | 'log'>): Promise<string> {
  const place = 'the header "Authorization", without "Bearer"';
  const { key } = await admit(ports, { secrets: secret === '' ? [] : [secret], place });
  if (key.use === 'server') return key.name;
  throw new AppError('auth.forbidden', `the key "${key.name}" is a client key; server-side SDKs need a server key`);
}
