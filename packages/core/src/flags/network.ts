/** IPv4 and IPv6 addresses and networks (CIDR). Conditions of flags depend on it. */

/** The address as 16-bit groups: two for IPv4, eight for IPv6; undefined when it is no address. */
function parseAddress(text: string): readonly number[] | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/** @returns a test for addresses in the network `address/bits`, or at the address itself; undefined when it is no network */
export function compileNetwork(text: string): ((address: string) => boolean) | undefined {
  const [addressText = '', bitsText, ...rest] = text.split('/');
  const network = parseAddress(addressText);
  if (network === undefined || rest.length > 0) return undefined;
  const width = network.length * 16;
  const bits = bitsText === undefined ? width : /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : Number.NaN;
  if (!(bits <= width)) return undefined;
  const masks = network.map((_, index) => maskOf(bits - index * 16));
  return (addressToTest) => {
    const address = parseAddress(addressToTest);
    if (address?.length !== network.length) return false;
    return masks.every((mask, index) => (((address[index] ?? 0) ^ (network[index] ?? 0)) & mask) === 0);
  };
}

/** The mask of a 16-bit group of which so many leading bits count. */
function maskOf(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 16 ? 0xffff : 0xffff & ~(0xffff >> bits);
}

function parseIpv4(text: string): readonly number[] | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const [a = 256, b = 256, c = 256, d = 256] = match.slice(1).map(Number);
  return Math.max(a, b, c, d) > 255 ? undefined : [(a << 8) | b, (c << 8) | d];
}

function parseIpv6(text: string): readonly number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const parts = halves.map(parseGroups);
  const [head, tail] = parts;
  if (head === undefined || parts.includes(undefined)) return undefined;
  if (tail === undefined) return head.length === 8 ? head : undefined;
  const gap = 8 - head.length - tail.length;
  return gap < 1 ? undefined : [...head, ...Array.from({ length: gap }, () => 0), ...tail];
}

/** Groups between colons; an IPv4 address may stand at the end. */
function parseGroups(text: string): readonly number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    const embedded = isLast && part.includes('.') ? parseIpv4(part) : undefined;
    if (embedded !== undefined) groups.push(...embedded);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}
