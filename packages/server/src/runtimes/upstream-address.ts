/** Addresses that no model server lives at, checked when the socket is made. Link-local ones answer with a cloud machine's credentials. */
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { AppError } from '@understudy/core/errors';

// Embedded forms (NAT64 64:ff9b::/96, 6to4 2002::/16) lead to the same machines; mapped ones (::ffff:0:0/96) are covered by BlockList.
const FORBIDDEN_SUBNETS: readonly (readonly [address: string, prefix: number, family: 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['100.100.100.200', 32, 'ipv4'],
  ['224.0.0.0', 4, 'ipv4'],
  ['255.255.255.255', 32, 'ipv4'],
  ['::', 128, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
  ['fd00:ec2::254', 128, 'ipv6'],
  ['64:ff9b::a9fe:0', 112, 'ipv6'],
  ['64:ff9b::6464:64c8', 128, 'ipv6'],
  ['2002:a9fe::', 32, 'ipv6'],
  ['2002:6464:64c8::', 48, 'ipv6'],
];

const forbidden = new BlockList();
for (const [address, prefix, family] of FORBIDDEN_SUBNETS) forbidden.addSubnet(address, prefix, family);

/** Whether an IP address is link-local, a cloud's metadata service, unspecified, multicast or broadcast. */
export function isForbiddenAddress(address: string): boolean {
  const zone = address.indexOf('%');
  const bare = zone < 0 ? address : address.slice(0, zone);
  return forbidden.check(bare, isIP(bare) === 6 ? 'ipv6' : 'ipv4');
}

/**
 * The IP address to connect to; IPv4 first where a name has both, as many model servers listen there only. Who connects must
 * connect to this address: a guard in `lookup` would not see IP literals, and one before the request would not see what the
 * name resolves to a moment later.
 * @param hostname a name or an address, IPv6 in brackets or without
 * @throws AppError `upstream.forbidden_address`, `upstream.unreachable`
 */
export async function allowedAddressOf(hostname: string): Promise<string> {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  const addresses = isIP(bare) > 0 ? [{ address: bare }] : await lookup(bare, { all: true, order: 'ipv4first' });
  const denied = addresses.find(({ address }) => isForbiddenAddress(address));
  if (denied !== undefined) {
    throw new AppError(
      'upstream.forbidden_address',
      `cannot connect to "${hostname}": ${denied.address} is not an address of a model server`,
    );
  }
  const [first] = addresses;
  if (first === undefined) throw new AppError('upstream.unreachable', `cannot connect to "${hostname}": the name has no address`);
  return first.address;
}

/** The name that a certificate must be for; undefined for an address, which TLS does not ask for by name. */
export function serverNameOf(hostname: string): string | undefined {
  return isIP(hostname) > 0 || hostname.startsWith('[') ? undefined : hostname;
}
