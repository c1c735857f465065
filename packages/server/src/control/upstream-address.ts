/**
 * Which addresses a model server may have, checked when a version is registered so that the person who typed it hears at
 * once. Private and loopback addresses are allowed, as model servers are private by nature. A name may resolve to
 * something else later, so the runtime checks again where it makes the connection.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { AppError } from '@understudy/core/errors';

/** Where this process listens: a version that calls us back would call itself. */
export interface OwnListeners {
  readonly ports: readonly number[];
  /** Names and addresses of this machine, in lower case. */
  readonly hosts: ReadonlySet<string>;
}

// Metadata services hand a machine's credentials to whoever asks from it.
const METADATA_NAMES: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'metadata.azure.internal',
  'instance-data',
  'instance-data.ec2.internal',
]);

const FORBIDDEN_KINDS = 'link-local, unspecified, multicast, broadcast or the metadata service of a cloud';
const FORBIDDEN = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
  ['224.0.0.0', 4],
  ['255.255.255.255', 32],
] as const) {
  FORBIDDEN.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  ['::', 128],
  ['fe80::', 10],
  ['ff00::', 8],
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
] as const) {
  FORBIDDEN.addSubnet(network, prefix, 'ipv6');
}

/** This process's listeners on every name and address of the machine. */
export function ownListeners(ports: readonly number[]): OwnListeners {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);
  return { ports, hosts: new Set([...addresses, hostname()].map((host) => host.toLowerCase())) };
}

/**
 * The base address of a model server, without a trailing slash.
 * @throws AppError `upstream.forbidden_address` with what is wrong
 */
export function checkedUpstream(text: string, own: OwnListeners): string {
  const problem = problemOf(text, own);
  if (problem === undefined) return new URL(text).href.replace(/\/+$/, '');
  throw new AppError('upstream.forbidden_address', `cannot use "${text}" as the address of a model server: ${problem}`);
}

/** Why a webhook may not have an address; undefined when it may. Addresses of services often carry a key after the "?". */
export function problemOfHookUrl(text: string, own: OwnListeners): string | undefined {
  return problemOf(text, own, { allowsQuery: true });
}

function problemOf(text: string, own: OwnListeners, { allowsQuery = false } = {}): string | undefined {
  // The URL parser drops tabs and line breaks and turns "\" into "/": what a person sees would not be what is called.
  if (/[\s\\\p{Cc}]/u.test(text)) return 'it has white space, a backslash or a control character';
  const url = URL.parse(text);
  if (url === null) return 'it is not an address';
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'use http:// or https://';
  if (url.username !== '' || url.password !== '') return 'leave out the user name and password';
  if (allowsQuery && url.hash !== '') return 'leave out everything from the "#" on';
  if (!allowsQuery && (url.search !== '' || url.hash !== ''))
    return 'leave out everything from the "?" or "#" on; paths are added to it';
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return problemOfHost(host) ?? problemOfPort(host, url, own);
}

function problemOfHost(host: string): string | undefined {
  if (host === '') return 'it has no host';
  if (METADATA_NAMES.has(host)) return 'it is the metadata service of a cloud';
  if (isIPv4(host)) return isForbidden4(host) ? `${host} is ${FORBIDDEN_KINDS}` : undefined;
  // Loopback looks like the IPv4 address 0.0.0.1 in its compatible form.
  if (!isIPv6(host) || host === '::1') return undefined;
  if (FORBIDDEN.check(host, 'ipv6')) return `${host} is ${FORBIDDEN_KINDS}`;
  const embedded = embedded4(host).find(isForbidden4);
  return embedded === undefined ? undefined : `${host} leads to ${embedded}, which is ${FORBIDDEN_KINDS}`;
}

function problemOfPort(host: string, url: URL, own: OwnListeners): string | undefined {
  const port = url.port === '' ? (url.protocol === 'http:' ? 80 : 443) : Number(url.port);
  if (!own.ports.includes(port)) return undefined;
  const addresses = [host, ...(isIPv6(host) ? embedded4(host) : [])];
  if (!addresses.some((address) => isLoopback(address) || own.hosts.has(address))) return undefined;
  return `port ${port} of this machine is Understudy itself`;
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost') || host === '::1') return true;
  return isIPv4(host) && host.startsWith('127.');
}

function isForbidden4(address: string): boolean {
  return FORBIDDEN.check(address, 'ipv4');
}

/** The IPv4 addresses that an IPv6 address may lead to: mapped, compatible, NAT64, 6to4, ISATAP and Teredo. */
function embedded4(address: string): readonly string[] {
  const groups = groupsOf(address);
  const [first = 0, second = 0, third = 0] = groups;
  const [isatap = 0, high = 0, low = 0] = groups.slice(5);
  const found: string[] = [];
  const isMappedOrCompatible = groups.slice(0, 5).every((group) => group === 0) && (isatap === 0 || isatap === 0xffff);
  const isNat64 = first === 0x64 && second === 0xff9b;
  if (isMappedOrCompatible || isNat64 || isatap === 0x5efe) found.push(dotted(high, low));
  if (first === 0x2002) found.push(dotted(second, third));
  // Teredo writes the client's address with every bit turned over.
  if (first === 0x2001 && second === 0) found.push(dotted(high ^ 0xffff, low ^ 0xffff));
  return found;
}

/** The eight groups of an IPv6 address that the URL parser has normalised: hexadecimal, at most one "::". */
function groupsOf(address: string): readonly number[] {
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}
