import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { BundleFetchError } from "./bundle-fetch-error.ts";

/** Networks that lead into a house, or nowhere. @see RFC 6890; IANA's registries of special-purpose addresses */
const special = new BlockList();
const networks4 = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const;
for (const [network, prefix] of networks4) special.addSubnet(network, prefix, "ipv4");
// Tunnels, which end at an IPv4 address of anybody's choice, and what is for documents.
const networks6 = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const;
for (const [network, prefix] of networks6) special.addSubnet(network, prefix, "ipv6");
const global6 = new BlockList();
global6.addSubnet("2000::", 3, "ipv6");

/** Whether an IP address is one of the public internet. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !special.check(address, "ipv4");
    case 6:
      // Everything else of IPv6 is local, special or not given out: IPv4-mapped and translated addresses among it.
      return global6.check(address, "ipv6") && !special.check(address, "ipv6");
    default:
      return false;
  }
}

/**
 * The address to connect to for a host: looked up once, so that what was checked is what is connected to.
 *
 * @param host as a URL has it
 * @throws BundleFetchError for a name that is not known, and for one that leads into a house unless that is allowed
 */
export async function addressOf(host: string, privateAllowed: boolean): Promise<string> {
  const name = host.replace(/^\[(.*)\]$/, "$1");
  const addresses =
    isIP(name) === 0
      ? await lookup(name, { all: true }).catch((error: unknown) => {
          throw new BundleFetchError("the name of its host is not known", { cause: error });
        })
      : [{ address: name }];
  const [first] = addresses;
  if (first === undefined) throw new BundleFetchError("the name of its host is not known");
  if (!privateAllowed && !addresses.every(({ address }) => isPublicAddress(address)))
    throw new BundleFetchError("its host is at an address that is not public, which was not allowed for it");
  return first.address;
}
