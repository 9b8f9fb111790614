import {
  type RevocationReceiptClaims,
  revocationReceiptClaimsSchema,
  revocationReceiptType,
} from "@countersign/sdk/contract/revocation-receipt";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import type { TokenKey } from "./token-key.ts";

/**
 * Lets the active token key sign revocation receipts and nothing else: it makes the header itself, and what is no
 * receipt is refused.
 *
 * @returns a function that gives the compact JWS, and throws ZodError for other claims
 * @see RFC 7515, section 7.1; RFC 8725, section 3.11
 */
export function createReceiptSigner(activeKey: () => TokenKey): (claims: RevocationReceiptClaims) => string {
  return (claims) => {
    const { kid, sign } = activeKey();
    const header = { alg: "ES256", kid, typ: revocationReceiptType };
    const input = [header, revocationReceiptClaimsSchema.parse(claims)]
      .map((part) => Buffer.from(canonicalJson(part)).toString("base64url"))
      .join(".");
    return `${input}.${Buffer.from(sign(Buffer.from(input))).toString("base64url")}`;
  };
}
