import { DomainError } from "../domain/domain-error.ts";
import { type PublicKey, parsePublicKey } from "./public-key.ts";
import { type RecordDeps, refuse, type Trail } from "./record/record.ts";
import { plainRefusal } from "./record/refusal.ts";

/**
 * Reads the public key that a mutation brings.
 *
 * @throws DomainError `invalid_request`, after its refusal is recorded
 */
export async function readKey(
  deps: Pick<RecordDeps, "recordRefusal">,
  trail: Trail,
  publicJwk: Readonly<Record<string, unknown>>,
): Promise<PublicKey> {
  try {
    return parsePublicKey(publicJwk);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const refusal = plainRefusal(error.code, error.publicDetail);
    throw await refuse(deps, "mutation.refused", trail, "key", refusal);
  }
}
