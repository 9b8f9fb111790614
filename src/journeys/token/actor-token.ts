import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { TransactionId } from "@countersign/sdk/model/ids";
import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { joinableTransaction } from "../../domain/transaction.ts";
import { type RecordDeps, refuse, type Trail } from "../record/record.ts";
import type { Refusal } from "../record/refusal.ts";
import type { Grounds } from "./grounds.ts";

export interface PresentedTokenDeps extends RecordDeps {
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
  /** The claims of an access token whose signature, `typ`, `iss` and `exp` hold; undefined for anything else. */
  readonly verifyAccessToken: (token: string) => Promise<AccessTokenClaims | undefined>;
  /** What such a token rests on if it still carries authority. Never a cached read: nothing reads it again. */
  readonly liveTokenOf: (claims: AccessTokenClaims) => Promise<Grounds | undefined>;
}

/**
 * The transaction of an actor token, which has to be a live access token of the authenticated client itself: it adds
 * nothing to who acts, and a token that names somebody else is a lie about it.
 *
 * @throws DomainError `actor_unauthorized` for any other token, `invalid_request` for one whose transaction is over,
 *   `ledger_unavailable`
 * @see RFC 8693, section 2.1
 */
export async function transactionOfActor(
  deps: PresentedTokenDeps,
  client: Principal,
  actorToken: string,
  trail: Trail,
): Promise<TransactionId> {
  const claims = await deps.verifyAccessToken(actorToken);
  // Whether another client's token is live is not for this one to learn.
  const isOwn = claims?.client_id === spiffeIdOf(deps.trustDomain, client);
  const live = claims && isOwn ? await deps.liveTokenOf(claims) : undefined;
  if (claims === undefined || live === undefined) {
    throw await refuse(deps, "token.refused", trail, "actor_token", notOwn);
  }
  const txn = joinableTransaction(claims.txn, deps.now());
  if (txn === undefined) throw await refuse(deps, "token.refused", trail, "actor_token", transactionOver);
  return txn;
}

const notOwn: Refusal = {
  code: "actor_unauthorized",
  publicDetail: "the actor_token is no live access token of this client",
  reason: "the actor token is not live, or another's",
};

const transactionOver: Refusal = {
  code: "invalid_request",
  publicDetail: "the transaction is over: begin another one",
  reason: "the actor token's transaction is over",
};
