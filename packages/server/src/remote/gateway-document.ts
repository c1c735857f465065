/** Reads what a control plane sent, or a disk kept. Nothing unread ever becomes a snapshot. */
import { GatewayDocument } from '@understudy/contract/gateway-feed';
import { describeProblems } from '@understudy/contract/problems';

/** Never throws. @returns what is wrong with it when it is no document */
export function readGatewayDocument(body: string): GatewayDocument | string {
  try {
    const parsed = GatewayDocument.safeParse(JSON.parse(body));
    return parsed.success
      ? parsed.data
      : `what came is no snapshot that this gateway can read: ${describeProblems(parsed.error)}`;
  } catch (error) {
    return `what came cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}
