import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { FetchError, PrivateAddressError } from "./fetch-error.ts";

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

/** Finds nobody where one of a name's addresses is not public: such a name is somebody's trick, or somebody's mistake. */
export const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookupIf(isPublicAddress, hostname, options, callback);
};

/** Finds each address of a name. */
export const lookupAny: LookupFunction = (hostname, options, callback) => {
  lookupIf(() => true, hostname, options, callback);
};

function lookupIf(
  isAllowed: (address: string) => boolean,
  ...[hostname, options, callback]: Parameters<LookupFunction>
): void {
  lookup(hostname, { ...options, all: true }, (cause, addresses) => {
    const [first] = addresses ?? [];
    if (cause !== null || first === undefined)
      return callback(new FetchError("the name of its host is not known", { cause }), "");
    if (!addresses.every(({ address }) => isAllowed(address))) return callback(new PrivateAddressError(), "");
    if (options.all === true) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
}
