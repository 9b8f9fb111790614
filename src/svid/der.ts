/** Tags of X.690 that are used beside those the functions below write. */
export const derTag = { sequence: 0x30, set: 0x31, octetString: 0x04, utf8String: 0x0c } as const;

/** One element: its tag, its length in the shortest form, its contents one after the other. @see X.690, section 10.1 */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(contents);
  return Buffer.concat([Uint8Array.of(tag), lengthOf(body.length), body]);
}

function lengthOf(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Uint8Array.of(0x80 | octets.length, ...octets);
}

/** The explicit tag `[number]` around an element. */
export function derExplicit(number: number, content: Uint8Array): Uint8Array {
  return der(0xa0 | number, content);
}

/** A positive integer from its big-endian octets, in the shortest form. @see X.690, section 8.3 */
export function derInteger(octets: Uint8Array): Uint8Array {
  const first = octets.findIndex((octet) => octet !== 0);
  const digits = first === -1 ? Uint8Array.of(0) : octets.subarray(first);
  return (digits[0] ?? 0) >= 0x80 ? der(0x02, Uint8Array.of(0), digits) : der(0x02, digits);
}

/** TRUE; FALSE is the default wherever we write one, and DER leaves defaults out. @see X.690, sections 11.1 and 11.5 */
export const derTrue: Uint8Array = Uint8Array.of(0x01, 0x01, 0xff);

/** An object identifier from its dotted form. @see X.690, section 8.19 */
export function derOid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...others] = dotted.split(".").map(Number);
  return der(0x06, Uint8Array.from([first * 40 + second, ...others].flatMap(base128)));
}

function base128(arc: number): readonly number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
    octets.unshift(0x80 | (rest % 128));
  return octets;
}

/** A bit string. @param unusedBits how many of the last octet's low bits do not count; they must be 0 */
export function derBitString(octets: Uint8Array, unusedBits = 0): Uint8Array {
  return der(0x03, Uint8Array.of(unusedBits), octets);
}

/** A moment in whole seconds: UTCTime through 2049, GeneralizedTime after. @see RFC 5280, section 4.1.2.5 */
export function derTime(moment: Date): Uint8Array {
  const digits = moment.toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return moment.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(digits.slice(2), "latin1"))
    : der(0x18, Buffer.from(digits, "latin1"));
}
