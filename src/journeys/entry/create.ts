import { hash } from "node:crypto";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { type AgentId, type NodeId, newId, type OrganizationId } from "@countersign/sdk/model/ids";
import { parseSelector, type Selector } from "@countersign/sdk/model/selector";
import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Agent } from "../../domain/agent.ts";
import type { Node } from "../../domain/node.ts";
import { type RegistrationEntry, selectorKinds, selectorValues } from "../../domain/registration-entry.ts";
import { active, callerConditions } from "../record/conditions.ts";
import {
  type CreateDeps,
  demandFound,
  demandOperator,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";

export interface CreateEntryDeps extends CreateDeps {
  readonly trustDomain: TrustDomain;
  readonly findNode: (organization: OrganizationId, id: NodeId) => Promise<Node | undefined>;
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
}

export interface CreateEntryRequest
  extends Pick<
    RegistrationEntry,
    "agent" | "parent" | "x509TtlSeconds" | "jwtTtlSeconds" | "dnsNames" | "hint" | "federatesWith"
  > {
  /** An operator. */
  readonly caller: Principal;
  /** As received. */
  readonly selectors: readonly string[];
  readonly context: RequestContext;
}

/**
 * Says which workloads are an Agent: from now on those of which attestation finds all selectors true get its SVIDs.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `invalid_request` for a selector that no attestor
 *   finds, `not_found` for an Agent or a Node that is not there, `conflict` where the same entry stands already, `subject_not_active`, `ledger_unavailable`
 */
export async function createEntry(
  deps: CreateEntryDeps,
  request: CreateEntryRequest,
): Promise<Recorded<RegistrationEntry>> {
  const { caller, agent: agentId, parent, context } = request;
  const { organization } = caller;
  const nowMs = deps.now();
  const asked: Trail = { ...trailOf(caller, context), action: "entry.create" };
  await demandOperator(deps, "mutation.refused", caller, asked);
  const selectors = readSelectors(request.selectors);
  if (!Array.isArray(selectors)) throw await refuse(deps, "mutation.refused", asked, "selectors", selectors);
  if (parent !== undefined && (await deps.findNode(organization, parent)) === undefined)
    throw await refuse(deps, "mutation.refused", asked, "parent", noNode);
  const agent = await demandFound(deps, asked, await deps.findAgent(organization, agentId), noAgent);
  const { x509TtlSeconds, jwtTtlSeconds, dnsNames, hint, federatesWith } = request;
  const id = newId("entry", nowMs, deps.randomBytes(16));
  const row = {
    id,
    organization_id: organization,
    agent_id: agentId,
    parent_id: parent ?? null,
    selectors,
    selectors_hash: hash("sha256", canonicalJson(selectors), "base64url"),
    x509_ttl_seconds: x509TtlSeconds,
    jwt_ttl_seconds: jwtTtlSeconds,
    dns_names: dnsNames,
    hint: hint ?? null,
    federates_with: federatesWith,
    status: "active",
    created_at: new Date(nowMs),
  } as const;
  const ledger = await record(deps, {
    type: "entry.created",
    refusedAs: "mutation.refused",
    trail: { ...asked, target: { kind: "agent", id: agentId }, owner: agent.owner },
    outcome: {
      detail: {
        entry: id,
        selectors,
        x509_ttl_seconds: x509TtlSeconds,
        jwt_ttl_seconds: jwtTtlSeconds,
        ...(parent !== undefined && { parent }),
        ...(dnsNames.length > 0 && { dns_names: [...dnsNames] }),
        ...(federatesWith.length > 0 && { federates_with: [...federatesWith] }),
      },
    },
    writes: [{ into: "registration_entry", row }],
    conditions: [
      ...callerConditions(caller),
      { on: "agent", id: agentId, status: ["active", "suspended"] },
      { on: "user", id: agent.owner, status: ["active"] },
      ...(parent === undefined ? [] : [active("node", parent)]),
    ],
    demands: context.demands,
  });
  const spiffeId = spiffeIdOf(deps.trustDomain, { kind: "agent", organization, id: agentId });
  return {
    id,
    organization,
    agent: agentId,
    spiffeId,
    parent,
    selectors,
    x509TtlSeconds,
    jwtTtlSeconds,
    dnsNames,
    hint,
    federatesWith,
    status: "active",
    createdAtMs: nowMs,
    ledger,
  };
}

/** Sorted, each once; or why they are none. A mistyped kind or value would make an entry that matches nothing, without a word. */
function readSelectors(texts: readonly string[]): Selector[] | Refusal {
  const selectors = new Set<Selector>();
  for (const text of texts) {
    const selector = parseSelector(text);
    if (selector === undefined || !selectorKinds.some((kind) => text.startsWith(`${kind}:`))) {
      return plainRefusal(
        "invalid_request",
        `selectors: each begins with one of ${selectorKinds.join(", ")}`,
      );
    }
    const fault = valueFault(selector);
    if (fault !== undefined) return fault;
    selectors.add(selector);
  }
  return [...selectors].sort();
}

function valueFault(selector: Selector): Refusal | undefined {
  const [kind, value, words] = selectorValues.find(([name]) => selector.startsWith(`${name}:`)) ?? [];
  if (kind === undefined || value.test(selector.slice(kind.length + 1))) return undefined;
  return plainRefusal("invalid_request", `selectors: after ${kind}: comes ${words}`);
}

const noNode = plainRefusal("not_found", "there is no such node");
const noAgent = plainRefusal("not_found", "there is no such agent");
