import type { Agent } from "../../domain/agent.ts";
import { assertNever } from "../../domain/assert-never.ts";
import type { Client } from "../../domain/client.ts";
import type { Delegation } from "../../domain/delegation.ts";
import type { FederatedTrustDomain } from "../../domain/federation.ts";
import type { Node } from "../../domain/node.ts";
import type { RegistrationEntry } from "../../domain/registration-entry.ts";
import type { TrustedIssuer } from "../../domain/trusted-issuer.ts";
import type { User } from "../../domain/user.ts";
import type { Condition } from "../../store/write.ts";

/** What others may change of a thing, as its reader saw it. */
export type Seen =
  | ({ readonly on: "user" } & Pick<User, "id" | "status">)
  | ({ readonly on: "agent"; readonly stoppedAtMs: number | undefined } & Pick<
      Agent,
      "id" | "status" | "tenure"
    >)
  | ({ readonly on: "client" } & Pick<Client, "principal" | "profileIndex">)
  | ({ readonly on: "registration_entry" } & Pick<RegistrationEntry, "id" | "status">)
  | ({ readonly on: "node" } & Pick<Node, "id" | "status">)
  | ({ readonly on: "trusted_issuer" } & Pick<TrustedIssuer, "id" | "status">)
  | ({ readonly on: "federated_trust_domain" } & Pick<FederatedTrustDomain, "id" | "status">)
  | ({ readonly on: "delegation" } & Pick<Delegation, "id" | "status" | "granteeTenure">);

/** That a thing is still as its reader saw it: no commit has changed it since. Its ETag is made of the same. */
export function stillAs(seen: Seen): Condition {
  switch (seen.on) {
    case "user":
    case "registration_entry":
    case "node":
    case "trusted_issuer":
    case "federated_trust_domain":
      return { on: seen.on, id: seen.id, status: [seen.status] };
    case "agent": {
      const { id, status, tenure, stoppedAtMs } = seen;
      // What was stopped and resumed has its status again, but no longer the time of its last stop.
      const unstoppedSince =
        stoppedAtMs === undefined ? "-infinity" : new Date(stoppedAtMs + 1).toISOString();
      return { on: "agent", id, status: [status], tenure, unstoppedSince };
    }
    case "client":
      return { on: "client_profile", id: seen.principal.id, last: seen.profileIndex ?? null };
    case "delegation":
      return { on: "delegation", id: seen.id, status: [seen.status], tenure: seen.granteeTenure };
    default:
      return assertNever(seen);
  }
}
