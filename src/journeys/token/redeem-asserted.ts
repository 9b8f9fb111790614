import { sameAudience } from "@countersign/sdk/model/audience";
import type { OrganizationId, TransactionId } from "@countersign/sdk/model/ids";
import { nameScope, type Scope, scopeBeyond } from "@countersign/sdk/model/scope";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { DelegationChain } from "../../domain/delegation-chain.ts";
import type { Resource } from "../../domain/resource.ts";
import type { Granted } from "../../store/delegations.ts";
import { chainTrail } from "../delegation/refusal-reasons.ts";
import { active } from "../record/conditions.ts";
import { type RecordDeps, refuse, type Trail } from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";
import type { AssertedPerson } from "../trust/assert-person.ts";
import type { Redeemable } from "./redeem-onward.ts";

export interface RedeemAssertedDeps extends Pick<RecordDeps, "recordRefusal"> {
  /** May be a cached read. */
  readonly findResourceByAudience: (
    organization: OrganizationId,
    audience: string,
  ) => Promise<Resource | undefined>;
  /** Not a cached read. */
  readonly findGrantedChain: (
    organization: OrganizationId,
    granted: Granted,
  ) => Promise<DelegationChain | undefined>;
}

export interface RedeemAssertedRequest {
  /** Authenticated. */
  readonly client: Principal;
  /** Whom the client acts for, and within what, in the words of their identity provider. */
  readonly person: AssertedPerson;
  /** Default: the sole one that the assertion is for. */
  readonly resource?: string | undefined;
  /** Default: what the assertion and the delegation have in common. */
  readonly scope?: Scope | undefined;
}

/**
 * The Delegation under which an identity assertion is redeemed: the latest that the User gave this client for the Resource. The
 * assertion is a bound on it and gives no authority: what is asked for has to be within both.
 *
 * @throws DomainError `invalid_target` for a Resource that the assertion is not for, or is not the sole one of;
 *   `invalid_delegation` where the User delegated nothing to the client there; `scope_widening`; `ledger_unavailable`; all
 *   but the last are recorded
 * @see draft-ietf-oauth-identity-assertion-authz-grant, section 4.4
 */
export async function redeemAsserted(
  deps: RedeemAssertedDeps,
  { client, person, resource: named, scope: asked }: RedeemAssertedRequest,
  trail: Trail,
  { txn, nowMs }: { readonly txn: TransactionId; readonly nowMs: number },
): Promise<Redeemable> {
  const { organization } = client;
  const { user, trustedIssuer, mapping, jtiHash, resources, authorizationDetails } = person;
  const detail = { trusted_issuer: trustedIssuer, mapping, assertion: jtiHash };
  const forUser: Trail = { ...trail, subject: user };
  const refused = (refusal: Refusal, chain?: DelegationChain) => {
    const of = { ...forUser, ...(chain && chainTrail(chain)) };
    return refuse(deps, "token.refused", of, trustedIssuer, { ...refusal, about: { detail } });
  };
  const wanted = named ?? (resources?.length === 1 ? resources[0] : undefined);
  if (wanted === undefined) throw await refused(unnamedTarget);
  if (resources?.some((one) => sameAudience(one, wanted)) === false) throw await refused(otherTarget);
  const resource = await deps.findResourceByAudience(organization, wanted);
  const chain =
    client.kind === "agent" && resource !== undefined
      ? await deps.findGrantedChain(organization, {
          subject: user,
          grantee: client.id,
          resource: resource.id,
          nowMs,
        })
      : undefined;
  if (chain === undefined) throw await refused(notGranted);
  const { scope: ofAssertion } = person;
  const beyond = scopeBeyond(asked ?? [], ofAssertion ?? asked ?? []);
  if (beyond.length > 0) throw await refused(beyondAssertion(beyond), chain);
  const granted = chain.leaf.delegation.scope;
  const scope = asked ?? granted.filter((token) => ofAssertion?.includes(token) ?? true);
  if (scope.length === 0) throw await refused(nothingInCommon, chain);
  return {
    chain,
    txn,
    conditions: [active("trusted_issuer", trustedIssuer), active("subject_mapping", mapping)],
    wish: { resource: wanted, scope, authorizationDetails },
    detail,
  };
}

const unnamedTarget = plainRefusal(
  "invalid_target",
  "name a resource: the assertion is for none, or for several",
);
const otherTarget = plainRefusal("invalid_target", "the assertion is for another resource");
const notGranted = plainRefusal(
  "invalid_delegation",
  "the user has no live delegation to this client for this resource",
);
const nothingInCommon = plainRefusal(
  "scope_widening",
  "the assertion and the user's delegation have no scope in common",
);

function beyondAssertion(beyond: Scope): Refusal {
  return {
    code: "scope_widening",
    publicDetail: "the scope is wider than the assertion's",
    reason: `scope: not in the assertion: ${nameScope(beyond)}`,
  };
}
