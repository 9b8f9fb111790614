import type { AgentChecksum } from "@countersign/sdk/model/agent-configuration";
import type { EntryId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Node } from "../../domain/node.ts";
import type { RegistrationEntry } from "../../domain/registration-entry.ts";
import type { MatchedEntry } from "../../domain/svid-holder.ts";
import { type RequestContext, refuse, requestOf, type Trail } from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { type IssuedJwtSvid, type IssueJwtSvidDeps, issueJwtSvid } from "../svid/issue-jwt.ts";
import { type IssueX509SvidDeps, issueX509Svid, type SignedX509Svid } from "../svid/issue-x509.ts";

interface FindEntry {
  readonly findEntry: (organization: OrganizationId, id: EntryId) => Promise<RegistrationEntry | undefined>;
}

export interface IssueNodeX509Deps extends IssueX509SvidDeps, FindEntry {}
export interface IssueNodeJwtDeps extends IssueJwtSvidDeps, FindEntry {}

interface NodeSvidRequest {
  /** The caller: it found the entry's selectors to be true of a workload. */
  readonly node: Node;
  readonly entry: EntryId;
  /** Of the workload's configuration, as the Node measured it; undefined where it measured none. */
  readonly checksum: AgentChecksum | undefined;
  readonly context: RequestContext;
}

export interface IssueNodeX509Request extends NodeSvidRequest {
  /** SubjectPublicKeyInfo of a key that the node made: the private half never leaves it. */
  readonly publicKey: Uint8Array;
}

export interface IssueNodeJwtRequest extends NodeSvidRequest {
  /** At least one. */
  readonly audience: readonly string[];
}

/**
 * Issues an X.509-SVID to a Node for a workload of its own.
 *
 * @throws DomainError `not_found` for an entry of which the Node is not the parent, whether or not there is one;
 *   `invalid_request` for a key that is none; or as issueX509Svid does
 */
export async function issueX509ToNode(
  deps: IssueNodeX509Deps,
  request: IssueNodeX509Request,
): Promise<SignedX509Svid> {
  const { node, publicKey, context } = request;
  const entry = await ownEntry(deps, request);
  return issueX509Svid(deps, { entry, publicKey, node: node.id, attestation: "measured", context });
}

/**
 * Issues a JWT-SVID to a Node for a workload of its own.
 *
 * @throws DomainError `not_found` as above; or as issueJwtSvid does
 */
export async function issueJwtToNode(
  deps: IssueNodeJwtDeps,
  request: IssueNodeJwtRequest,
): Promise<IssuedJwtSvid> {
  const { node, audience, context } = request;
  const entry = await ownEntry(deps, request);
  return issueJwtSvid(deps, { entry, audience, node: node.id, attestation: "measured", context });
}

async function ownEntry(
  deps: FindEntry & Pick<IssueX509SvidDeps, "recordRefusal">,
  { node: { id, organization }, entry: entryId, checksum, context }: NodeSvidRequest,
): Promise<RegistrationEntry & MatchedEntry> {
  const entry = await deps.findEntry(organization, entryId);
  if (entry?.parent === id) return { ...entry, checksum };
  const trail: Trail = {
    organization,
    actor: { kind: "node", id },
    ...requestOf(context),
    action: "svid.issue",
  };
  throw await refuse(deps, "svid.refused", trail, entryId, noEntry);
}

const noEntry = plainRefusal("not_found", "there is no such entry");
