/** The gateways that a rollout has heard of: at most so many, each with its place. The comparison of gateways keeps its counts here. */
import type { GatewayParts } from './gateway-parts.ts';

/** So many gateways of a rollout are told apart; the others of a stratum count together, as one. */
export const MAX_GATEWAYS = 200;

/** The name of all gateways beyond {@link MAX_GATEWAYS}; no gateway's own. */
export const OTHER_GATEWAYS = '*';

/** Under this are the parts of blocks that nobody's name was on. */
export const NO_GATEWAY = '';

/** What is known of a gateway from the start. */
export interface Seat {
  readonly gateway: string;
  /** Its place in the order in which gateways of its stratum were first heard of; those of one interval by name. */
  readonly place: number;
}

export interface GatewayRoster<Member> {
  /** Makes the gateways of a block known. @returns all of its stratum */
  seat(stratum: string, parts: GatewayParts): readonly Member[];
  /** Who is meant by a name in a block; undefined for what belongs to no gateway. */
  find(stratum: string, gateway: string): Member | undefined;
  /** Everybody, by stratum, in the order of their places. */
  readonly strata: ReadonlyMap<string, readonly Member[]>;
}

/** Nobody is known yet. Memory grows with gateways, up to {@link MAX_GATEWAYS}, never with traffic or time. */
export function openGatewayRoster<Member>(open: (seat: Seat) => Member): GatewayRoster<Member> {
  const names = new Map<string, Map<string, Member>>();
  const strata = new Map<string, readonly Member[]>();
  let known = 0;

  function find(stratum: string, gateway: string): Member | undefined {
    const seats = names.get(stratum);
    return gateway === NO_GATEWAY ? undefined : (seats?.get(gateway) ?? seats?.get(OTHER_GATEWAYS));
  }

  function admit(stratum: string, gateway: string): void {
    const isFull = known >= MAX_GATEWAYS;
    const present = names.get(stratum);
    // Strata are as few as gateways: one that is new when there are enough of them is compared with nobody.
    if (isFull && present === undefined) return;
    const seats = present ?? new Map<string, Member>();
    const name = isFull ? OTHER_GATEWAYS : gateway;
    seats.set(name, open({ gateway: name, place: seats.size }));
    names.set(stratum, seats);
    strata.set(stratum, [...seats.values()]);
    if (!isFull) known += 1;
  }

  return {
    strata,
    find,
    seat(stratum, parts) {
      for (const gateway of [...parts.keys()].toSorted()) {
        if (gateway !== NO_GATEWAY && find(stratum, gateway) === undefined) admit(stratum, gateway);
      }
      return strata.get(stratum) ?? [];
    },
  };
}
