import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import type { DelegationId } from "@countersign/sdk/model/ids";
import type { GrantDimension } from "@countersign/sdk/model/narrow";
import type { DelegationChain, Hop } from "./delegation-chain.ts";

/** One dimension in which a Delegation gives less than what it came of. */
export interface Narrowed {
  readonly delegation: DelegationId;
  readonly dimension: GrantDimension;
  /** What its parent has, or its Resource where it is a root; absent where that has no such limit. */
  readonly from?: string;
  readonly to: string;
}

const charsMax = 1000;

/** Where on a chain authority narrowed, from the root on. */
export function narrowedOn({ hops }: DelegationChain): readonly Narrowed[] {
  return hops.flatMap((hop, place) => {
    const above = hops[place - 1];
    const before = new Map(above === undefined ? whole(hop) : limitsOf(above));
    return limitsOf(hop).flatMap(([dimension, to]): Narrowed[] => {
      const from = before.get(dimension);
      if (from === to || to === "") return [];
      return [{ delegation: hop.delegation.id, dimension, ...(from && { from: cut(from) }), to: cut(to) }];
    });
  });
}

/** What a Resource has to give: every root narrows it. */
function whole({ resource }: Hop): readonly (readonly [GrantDimension, string])[] {
  return [
    ["resource", resource.audience],
    ["scope", resource.scope.join(" ")],
  ];
}

/** What a Delegation is limited to, in words; empty where it is not. */
function limitsOf({ delegation, resource }: Hop): readonly (readonly [GrantDimension, string])[] {
  const { scope, authorizationDetails: details, budget, expiresAtMs } = delegation;
  const allowances = Object.entries(budget).map(([unit, amount]) => `${amount} ${unit}`);
  return [
    ["resource", resource.audience],
    ["scope", scope.join(" ")],
    ["authorization_details", details.length === 0 ? "" : canonicalJson(details)],
    ["expiry", new Date(expiresAtMs).toISOString()],
    ["budget", allowances.sort().join(", ")],
  ];
}

function cut(text: string): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}…`;
}
