/** Wires one process that is everything: a control plane and a gateway. `serve.ts` and tests start it. */
import { type ControlPlaneOptions, type FlagProtocol, startControlPlane } from './compose-control.ts';
import { openLocalGateway, urlOfGateway } from './compose-gateway.ts';
import type { Config } from './config.ts';

export type { FlagProtocol };
export type ComposeOptions = Omit<ControlPlaneOptions, 'openGateway'>;

/** A running process. */
export interface Understudy {
  readonly controlUrl: string;
  readonly gatewayUrl: string;
  /** An admin token that this start created: the first one, or one that was asked for. It is shown this once. */
  readonly adminToken: string | undefined;
  /** Ends what has begun, refuses what comes, then closes. */
  drain(): Promise<void>;
  /** Closes at once. */
  close(): Promise<void>;
}

/**
 * Starts everything.
 * @throws AppError when the configuration, the data directory or a port cannot be used
 */
export async function startUnderstudy(config: Config, options: ComposeOptions): Promise<Understudy> {
  const { url, gateway, ...plane } = await startControlPlane(config, { ...options, openGateway: openLocalGateway });
  if (gateway === undefined) throw new Error('the process was started without its gateway');
  return { ...plane, controlUrl: url, gatewayUrl: urlOfGateway(gateway) };
}
