// What the suite and a process of streaming clients tell each other.

/** A family whose clients listen to changes, and how many of them one process plays. */
export const FAMILIES = ['unleash', 'launchdarkly', 'flagsmith', 'ofrep'] as const;
export type Family = (typeof FAMILIES)[number];

/** Argument of the process, as JSON. */
export interface ClientsRequest {
  readonly origin: string;
  readonly flag: string;
  readonly keys: Readonly<Record<Family, string>>;
  readonly clientsPerFamily: number;
}

/** Forget what you know; say when everybody knows that the flag is so. */
export interface Order {
  readonly on: boolean;
  /** What happens to the streams first: they are opened, they go on, or all are broken in the same moment and opened again at once. */
  readonly streams: 'open' | 'stay' | 'break';
}

/** When each client had the state that was asked for, in ms of the machine's monotonic clock. */
export interface Report {
  readonly seen: readonly { readonly family: Family; readonly atMs: number }[];
  /** What went wrong other than that the server was away, or cut a stream by ending. */
  readonly problems: readonly string[];
}

/** The clock that all processes of this machine share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
