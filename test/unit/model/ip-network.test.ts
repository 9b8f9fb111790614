import { isIPv4, isIPv6 } from "node:net";
import { networkHolds, parseIpAddress, parseIpNetwork } from "@countersign/sdk/model/ip-network";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

function holds(network: string, address: string): boolean {
  const outer = parseIpNetwork(network);
  const inner = parseIpAddress(address) ?? parseIpNetwork(address);
  return outer !== undefined && inner !== undefined && networkHolds(outer, inner);
}

describe("IP networks", () => {
  test.each([
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.0.0.0/8", "10.1.0.0/16", true],
    ["10.1.0.0/16", "10.0.0.0/8", false],
    ["10.0.0.0/16", "10.0.0.0/8", false],
    ["0.0.0.0/0", "255.255.255.255", true],
    ["0.0.0.0/0", "::1", false],
    ["::/0", "10.0.0.1", false],
    ["10.0.0.1/32", "10.0.0.1", true],
    ["2001:db8::/32", "2001:DB8:0:0::1", true],
    ["2001:db8::/32", "2001:db9::1", false],
    ["::1/128", "::1", true],
    ["::/0", "::ffff:a00:1", false],
  ])("%j holds %j: %s", (network, address, expected) => expect(holds(network, address)).toBe(expected));

  test.each([
    ["a short form", "10.1"],
    ["an octal octet", "010.0.0.1"],
    ["a hexadecimal octet", "0x0a.0.0.1"],
    ["a whole number", "167772161"],
    ["an octet too large", "256.0.0.1"],
    ["a final dot", "10.0.0.1."],
    ["a blank", " 10.0.0.1"],
    ["a line end", "10.0.0.1\n"],
    ["digits of another script", "१०.0.0.1"],
    ["a port", "10.0.0.1:80"],
    ["an IPv4-mapped address", "::ffff:10.0.0.1"],
    ["an IPv4-mapped address in hexadecimal", "::ffff:a00:1"],
    ["an IPv4-mapped address written out", "0:0:0:0:0:ffff:a00:1"],
    ["a dotted tail", "64:ff9b::10.0.0.1"],
    ["a zone", "fe80::1%eth0"],
    ["brackets", "[::1]"],
    ["two gaps", "1::2::3"],
    ["three colons", "1:::2"],
    ["a gap for nothing", "1:2:3:4::5:6:7:8"],
    ["nine groups", "1:2:3:4:5:6:7:8:9"],
    ["a group too long", "::00001"],
    ["nothing", ""],
    ["a single colon", ":"],
  ])("[NAR-003] refuses %s as an address", (_, text) => expect(parseIpAddress(text)).toBeUndefined());

  test.each([
    ["bits beyond the prefix", "10.0.0.1/8"],
    ["IPv6 bits beyond the prefix", "2001:db8::1/32"],
    ["too long a prefix", "10.0.0.0/33"],
    ["no prefix", "10.0.0.0"],
    ["an empty prefix", "10.0.0.0/"],
    ["a leading zero", "10.0.0.0/08"],
    ["a negative prefix", "10.0.0.0/-1"],
    ["a netmask", "10.0.0.0/255.0.0.0"],
    ["two prefixes", "10.0.0.0/8/8"],
    ["an IPv4-mapped network", "::ffff:0:0/96"],
  ])("[NAR-003] refuses %s as a network", (_, text) => expect(parseIpNetwork(text)).toBeUndefined());

  test("[NAR-003] whatever is read as an address Node reads as one too", () => {
    const texts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.stringMatching(/^[0-9a-f:.]{1,12}$/));
    fc.assert(
      fc.property(texts, (text) => {
        const address = parseIpAddress(text);
        if (address?.bitsMax === 32) expect(isIPv4(text)).toBe(true);
        if (address?.bitsMax === 128) expect(isIPv6(text)).toBe(true);
        const mapped = /\./.test(text) || /^(::|(0+:){5})ffff:/i.test(text);
        if (address === undefined && !mapped) expect(isIPv4(text) || isIPv6(text)).toBe(false);
      }),
      { numRuns: 3000 },
    );
  });
});
