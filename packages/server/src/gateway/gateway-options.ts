/** What a gateway can be told at start, with the defaults and where they come from. */

export interface GatewayOptions {
  readonly host: string;
  /** 0 picks a free port; `Gateway.address` says which. */
  readonly port: number;
  /** Name in reports; unique among the gateways of a control plane. */
  readonly gateway: string;
  /** Gateways whose users differ, such as regions, are told apart by it: their evidence is never added up. */
  readonly stratum?: string;
  /** Differs at every start, so that the sequence of reports may begin at 0 again. */
  readonly boot: string;
  /** Our release, for endpoints that name it. */
  readonly release: string;
  /** Signs request ids; at least 32 random bytes, the same on every gateway of an environment. */
  readonly requestIdKey: Uint8Array;
  /** Whether requests without a token may predict. */
  readonly allowAnonymous: boolean;
  /** Whether `/metrics` is shown without a token; otherwise it takes one with the scope `read`. */
  readonly publicMetrics: boolean;
  /** Largest request body that is read into memory. */
  readonly bodyLimitBytes: number;
  /** Bodies up to this size are read before an upstream is called, so that a failing challenger can be rescued. */
  readonly rescuableBodyBytes: number;
  /** Requests that may be in work at once; more are refused with 503 before their body is read. */
  readonly maxInFlight: number;
  /** Requests that may be in work at one upstream version. */
  readonly maxInFlightPerUpstream: number;
  /** Copies of one model's requests that may be at its shadow at once, or wait for their turn; the newest is dropped. */
  readonly shadowMaxInFlight: number;
  /** Bytes of the requests copied at once, for one model. */
  readonly shadowMaxBytes: number;
  /** Share of a model's deadline that a challenger may use before the champion takes over, in (0, 1). */
  readonly challengerShare: number;
  /** Reports leave at multiples of this on the clock. */
  readonly flushEveryMs: number;
  /** How long the gateway keeps serving after `/readyz` has said 503, so that load balancers notice. */
  readonly drainGraceMs: number;
  /** When draining gives up on requests that do not end. */
  readonly drainLimitMs: number;
}

/** Options that have a default. */
export type GatewayDefaults = Omit<GatewayOptions, 'gateway' | 'stratum' | 'boot' | 'release' | 'requestIdKey'>;

/**
 * Limits of reference list A12/A13: 16 MiB bodies; 1 024 in flight; a report a second. 32 copies in flight were measured to cost
 * users nothing at a shadow that hangs; 8 MiB are 32 of the largest bodies that are copied. Grace of 5 s is two failed health
 * checks of common load balancers; 30 s is the usual time between SIGTERM and SIGKILL.
 */
export const GATEWAY_DEFAULTS: GatewayDefaults = {
  host: '127.0.0.1',
  port: 7071,
  allowAnonymous: false,
  publicMetrics: false,
  bodyLimitBytes: 16 * 1024 * 1024,
  rescuableBodyBytes: 256 * 1024,
  maxInFlight: 1024,
  maxInFlightPerUpstream: 256,
  shadowMaxInFlight: 32,
  shadowMaxBytes: 8 * 1024 * 1024,
  challengerShare: 0.5,
  flushEveryMs: 1000,
  drainGraceMs: 5000,
  drainLimitMs: 30_000,
};
