/** One request to a version and all that is known about it. Passed from the server through routing and the arms to the reply. */
import type { ServerResponse } from 'node:http';
import type { GatheringRequest } from './gathering-request.ts';
import type { RequestHeaders } from './request-headers.ts';
import type { WireProtocol } from './wire/protocol.ts';

export interface Exchange {
  readonly req: GatheringRequest;
  readonly res: ServerResponse;
  readonly headers: RequestHeaders;
  readonly protocol: WireProtocol;
  /** As the path names them. */
  readonly model: string | undefined;
  readonly version: string | undefined;
  readonly startMs: number;
  /** Names a request that fails before it reaches a version. */
  readonly fallbackId: () => string;
}

/** Whether the client's connection still takes an answer. */
export function isOpen({ res }: Exchange): boolean {
  return !res.writableEnded && !res.destroyed;
}
