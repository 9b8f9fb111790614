import type { NodeId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { approvalId } from "../../domain/agent-checksum.ts";
import { type Client, isLiveClient } from "../../domain/client.ts";
import { DomainError } from "../../domain/domain-error.ts";
import { type MatchedEntry, svidRefusals } from "../../domain/svid-holder.ts";
import type { Condition, Write } from "../../store/write.ts";
import { active, clientConditions } from "../record/conditions.ts";
import {
  type CreateDeps,
  partyInactive,
  type RequestContext,
  refuse,
  requestOf,
  type Trail,
} from "../record/record.ts";

/** What issuing SVIDs of either kind takes. */
export interface SvidDeps extends CreateDeps {
  /** May be cached: what it says is read again by the commit. */
  readonly findClient: (principal: Principal) => Promise<Client | undefined>;
}

/** A node, and the SVID of its own by which it was let in: once that is spent, nothing is issued on what it asked. */
export interface AttestingNode {
  readonly id: NodeId;
  /** Its serial. */
  readonly svid: string;
}

/** Whose SVID, and who attested that it is theirs. */
export interface SvidGrounds {
  /** An entry whose selectors were all found true of the workload. */
  readonly entry: MatchedEntry;
  /** Who found them: a node, or undefined for the server itself. That it is the entry's parent is for the commit to see. */
  readonly node: AttestingNode | undefined;
  readonly context: RequestContext;
}

/** What an SVID is issued on, once it is known that the agent may have one. */
export interface SvidBasis {
  readonly client: Client;
  /** What it buys ends when agent or node is stopped then or later. */
  readonly issuedAt: Date;
  readonly trail: Trail;
  /** That agent, owner and entry still stand, that the entry is for who attested, and the agent may have the configuration. */
  readonly conditions: readonly Condition[];
  /** Ids of these: what is issued is to be issued anew when one of them changes. */
  readonly restsOn: readonly string[];
}

/**
 * Finds the agent that a RegistrationEntry names.
 *
 * @throws DomainError `subject_not_active` for an agent that is not active, or gone, which is recorded
 */
export async function svidBasis(deps: SvidDeps, grounds: SvidGrounds): Promise<SvidBasis> {
  const { entry, node, context } = grounds;
  const { organization, agent } = entry;
  const client = await deps.findClient({ kind: "agent", organization, id: agent });
  const trail: Trail = {
    organization,
    actor: { kind: "agent", id: agent },
    agent,
    attestation: "measured",
    action: "svid.issue",
    ...(client?.owner && { owner: client.owner.id }),
    ...requestOf(context),
    cause: node?.id ?? "workload-api",
  };
  if (client === undefined || !isLiveClient(client, deps.now())) {
    throw await refuse(deps, "svid.refused", trail, entry.id, {
      code: "subject_not_active",
      publicDetail: partyInactive,
      reason: `${agent} or its owner is not active`,
    });
  }
  const { checksum } = entry;
  const issuedAt = new Date(deps.now());
  const unstoppedSince = issuedAt.toISOString();
  const conditions: Condition[] = [
    ...clientConditions(client).map((condition) =>
      condition.on === "agent" ? { ...condition, unstoppedSince } : condition,
    ),
    { ...active("registration_entry", entry.id), parent: node?.id ?? "server" },
    ...(node === undefined ? [] : nodeConditions(node, unstoppedSince)),
    { on: "approved_checksum", id: agent, checksum: checksum ?? null },
  ];
  const restsOn = [
    agent,
    entry.id,
    ...(client.owner ? [client.owner.id] : []),
    ...(checksum === undefined ? [] : [approvalId(agent, checksum)]),
  ];
  return { client, issuedAt, trail, conditions, restsOn };
}

/** Between its being let in and the commit the machine may have been cut off, and be the node no more though the node is one. */
function nodeConditions({ id, svid }: AttestingNode, unstoppedSince: string): readonly Condition[] {
  return [
    { ...active("node", id), unstoppedSince },
    { on: "node_svid", id: svid, status: ["used"] },
  ];
}

/** An SVID as the commit that issues it keeps it, with what it rests on. */
export function keptSvid(
  { entry, node }: SvidGrounds,
  { issuedAt }: SvidBasis,
  {
    id,
    claimsHash,
    expiresAt,
  }: { readonly id: string; readonly claimsHash: string; readonly expiresAt: Date },
): Write {
  const row = {
    id,
    organization_id: entry.organization,
    agent_id: entry.agent,
    entry_id: entry.id,
    node_id: node?.id ?? null,
    checksum: entry.checksum ?? null,
    claims_hash: claimsHash,
    issued_at: issuedAt,
    expires_at: expiresAt,
  };
  return { into: "svid", row };
}

/** Whether somebody is not to have an SVID, rather than nobody being able to get one now. */
export function isRefusal(error: unknown): error is DomainError {
  return error instanceof DomainError && svidRefusals.has(error.code);
}
