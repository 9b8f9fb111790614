import type { IncomingMessage } from "node:http";
import { BlockList, isIPv6, type Socket } from "node:net";

/** What only a proxy in front of us may say: who called it and how, and with which certificate. */
const proxyHeaders = [
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-forwarded-client-cert",
  "x-real-ip",
  "x-ssl-client-cert",
  "client-cert",
  "client-cert-chain",
];

/**
 * Removes the headers of proxies from requests of anybody else: whoever reads one afterwards may believe it.
 *
 * @param ranges addresses and CIDR ranges, as the settings have checked them
 */
export function believeOnly(ranges: readonly string[]): (request: IncomingMessage) => void {
  const isTrusted = addressSet(ranges);
  return (request) => {
    if (isTrusted(request.socket.remoteAddress)) return;
    for (const name of proxyHeaders) delete request.headers[name];
  };
}

/** Ends a connection that comes in plain from neither loopback nor a trusted proxy: tokens would travel readable. */
export function admitOnly(ranges: readonly string[]): (socket: Socket) => void {
  const isAdmitted = addressSet(["127.0.0.0/8", "::1", ...ranges]);
  return (socket) => {
    if (!isAdmitted(socket.remoteAddress)) socket.destroy();
  };
}

/** Whether an address lies in one of the ranges. */
export function addressSet(ranges: readonly string[]): (address: string | undefined) => boolean {
  const set = new BlockList();
  for (const range of ranges) {
    const [address = "", bits] = range.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (bits === undefined) set.addAddress(address, family);
    else set.addSubnet(address, Number(bits), family);
  }
  // BlockList reads an IPv4-mapped IPv6 address as the IPv4 address that it is.
  return (address) => address !== undefined && set.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
