// What shows that a deployment works: a control plane that takes a model, and a gateway that answers with it.
import { createClient } from '@understudy/contract/client';
import { type Answered, registerExample, rowsOf, send, until } from '../running-understudy.ts';

/** Where control plane and gateway are, and a token that may do everything. */
export interface Deployment {
  readonly controlUrl: string;
  readonly gatewayUrl: string;
  readonly token: string;
}

/** Registers an ONNX model, makes it champion, and gives the first prediction. */
export async function firstPrediction(at: Deployment): Promise<Answered> {
  const admin = createClient({ url: at.controlUrl, token: at.token });
  await admin('createModel', { body: { name: 'digits' } });
  await registerExample(admin, 'digits', 'v1');
  await admin('promoteVersion', { params: { model: 'digits', version: 'v1' }, body: { reason: 'first' } });
  const [features] = await rowsOf('digits');
  // Refused until the gateway has heard of the model and of its champion, and has loaded that.
  const ask = () => send(at, '/predict/digits', { body: { features } });
  return await until(ask, ({ status }) => status === 200, 'the first prediction');
}
