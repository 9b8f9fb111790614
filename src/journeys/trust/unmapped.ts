import type { TrustedIssuer } from "../../domain/trusted-issuer.ts";
import { type RequestContext, requestOf, type Trail } from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";

/** The trail of what an issuer says, where nobody of ours acts yet. */
export function assertionTrail(
  { id, organization }: Pick<TrustedIssuer, "id" | "organization">,
  context: RequestContext,
): Trail {
  return {
    organization,
    actor: { kind: "system", id },
    action: "identity.assert",
    attestation: "platform",
    ...requestOf(context),
  };
}

/** That a subject is no Agent, and is not made one. */
export function unmapped(code: "not_attested" | "unauthenticated"): Refusal {
  return plainRefusal(code, "no agent is mapped to this subject");
}
