import { hash } from "node:crypto";
import { DomainError } from "../../../domain/domain-error.ts";
import type { JoinToken } from "../../../domain/node.ts";
import type { NodeAttestor } from "./attestor.ts";

export interface JoinTokenDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** @param tokenHash SHA-256 of the token, base64url */
  readonly findJoinToken: (tokenHash: string) => Promise<JoinToken | undefined>;
}

export interface JoinTokenEvidence {
  readonly token: string;
}

/** What is kept of a join token. It is random, so that nobody finds it by its hash. */
export function joinTokenHash(token: string): string {
  return hash("sha256", token, "base64url");
}

/**
 * Whoever bears a join token is the machine that the operator gave it to. That it is used once is for the commit to see to,
 * which marks it as used.
 */
export function createJoinTokenAttestor(deps: JoinTokenDeps): NodeAttestor<JoinTokenEvidence> {
  return {
    kind: "join_token",
    async attest({ token }) {
      const found = await deps.findJoinToken(joinTokenHash(token));
      if (found === undefined || found.status !== "unused" || found.expiresAtMs <= deps.now())
        throw new DomainError("not_attested", "the join token is unknown, used or over");
      const { id, organization, name, node, createdAtMs } = found;
      return {
        organization,
        attestation: "join_token",
        subject: id,
        selectors: [`join_token:id:${id}`],
        name,
        uses: id,
        ...(node !== undefined && { again: { node, saidAtMs: createdAtMs } }),
      };
    },
  };
}
