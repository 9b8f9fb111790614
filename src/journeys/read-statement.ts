import { VerificationError } from "@countersign/sdk/verify/verification-error";
import type { StatementDeps, VerifiedStatement } from "@countersign/sdk/verify/verify-statement";
import { createLocalJWKSet } from "jose";
import type { Client } from "../domain/client.ts";
import { sha256 } from "../ledger/sha256.ts";
import type { Refusal } from "./record/refusal.ts";

/**
 * What a registered key of a client signed, or why it is refused.
 *
 * @param verify of the kind of statement that it is to be
 * @param notTheirs what refuses the one that another signed, or that is said of another
 */
export async function readStatement<Claims>(
  { now }: { readonly now: () => number },
  { credentials }: Client,
  verify: (deps: StatementDeps) => Promise<VerifiedStatement<Claims>>,
  notTheirs: Refusal,
): Promise<VerifiedStatement<Claims> | Refusal> {
  const keys = createLocalJWKSet({
    keys: credentials.map(({ thumbprint, publicJwk }) => ({ ...JSON.parse(publicJwk), kid: thumbprint })),
  });
  try {
    return await verify({ keys, now, sha256 });
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    const reason = `${error.code}: ${error.message}`;
    return ["key_unknown", "signature_invalid", "issuer_unknown"].includes(error.code)
      ? { ...notTheirs, reason }
      : { code: "invalid_request", publicDetail: error.message, reason };
  }
}
