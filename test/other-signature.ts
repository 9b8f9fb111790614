// The order of the group of P-256. @see SEC 2, section 2.4.2
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The JWT with the other signature by ES256 that verifies: its s is the order less the first one's. It takes no key. */
export function otherSignature(jwt: string): string {
  const at = jwt.lastIndexOf(".") + 1;
  const signature = Buffer.from(jwt.slice(at), "base64url");
  const s = order - BigInt(`0x${signature.subarray(32).toString("hex")}`);
  const other = Buffer.from(s.toString(16).padStart(64, "0"), "hex");
  return jwt.slice(0, at) + Buffer.concat([signature.subarray(0, 32), other]).toString("base64url");
}
