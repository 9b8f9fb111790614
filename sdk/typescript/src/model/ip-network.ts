/** An IP network; an address is one whose prefix is its whole length. */
export interface IpNetwork {
  readonly bitsMax: 32 | 128;
  readonly prefixBits: number;
  readonly address: bigint;
}

/**
 * The address that `text` spells, or undefined: four decimal octets without leading zeros, or RFC 4291 in hexadecimal.
 * Short and octal forms, zones, dotted tails and IPv4-mapped addresses are refused: some readers take them for others.
 *
 * @see RFC 4291, section 2.2; RFC 6943, section 3.1
 */
export function parseIpAddress(text: string): IpNetwork | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** The network that `text` spells as `address/prefix`, or undefined; no bit is set beyond the prefix. */
export function parseIpNetwork(text: string): IpNetwork | undefined {
  const [, address = "", prefix = ""] = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const network = parseIpAddress(address);
  const prefixBits = Number(prefix);
  if (network === undefined || prefixBits > network.bitsMax) return undefined;
  const hostBits = BigInt(network.bitsMax - prefixBits);
  return (network.address >> hostBits) << hostBits === network.address
    ? { ...network, prefixBits }
    : undefined;
}

/** Whether all of `inner`, an address or a network, lies in `outer`. An IPv4 network never holds an IPv6 address. */
export function networkHolds(outer: IpNetwork, inner: IpNetwork): boolean {
  if (inner.bitsMax !== outer.bitsMax || inner.prefixBits < outer.prefixBits) return false;
  const hostBits = BigInt(outer.bitsMax - outer.prefixBits);
  return inner.address >> hostBits === outer.address >> hostBits;
}

function parseIpv4(text: string): IpNetwork | undefined {
  const octets = text.split(".");
  const legal =
    octets.length === 4 && octets.every((octet) => /^(?:0|[1-9]\d{0,2})$/.test(octet) && Number(octet) < 256);
  if (!legal) return undefined;
  return { bitsMax: 32, prefixBits: 32, address: joined(octets.map(Number), 8n) };
}

function parseIpv6(text: string): IpNetwork | undefined {
  const [head = "", tail, ...more] = text.split("::");
  const left = groupsOf(head);
  const right = groupsOf(tail ?? "");
  const missing = 8 - left.length - right.length;
  if (more.length > 0 || (tail === undefined ? missing !== 0 : missing < 1)) return undefined;
  const groups = [...left, ...Array<string>(missing).fill("0"), ...right];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  const address = joined(
    groups.map((group) => Number.parseInt(group, 16)),
    16n,
  );
  const isMapped = address >> 32n === 0xffffn;
  return isMapped ? undefined : { bitsMax: 128, prefixBits: 128, address };
}

function groupsOf(text: string): readonly string[] {
  return text === "" ? [] : text.split(":");
}

function joined(parts: readonly number[], bitsEach: bigint): bigint {
  return parts.reduce((whole, part) => (whole << bitsEach) | BigInt(part), 0n);
}
