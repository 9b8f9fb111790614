import type { AgentChecksum } from "@countersign/sdk/model/agent-configuration";
import type { EntryId, OrganizationId } from "@countersign/sdk/model/ids";
import { DomainError } from "../../domain/domain-error.ts";
import type { Node } from "../../domain/node.ts";
import type { NodeLimits } from "../../domain/node-limits.ts";
import type { RegistrationEntry } from "../../domain/registration-entry.ts";
import { type RecordDeps, type RequestContext, refuse, requestOf, type Trail } from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { type IssuedJwtSvid, type IssueJwtSvidDeps, issueJwtSvid } from "../svid/issue-jwt.ts";
import {
  type IssueX509SvidDeps,
  type IssueX509SvidRequest,
  issueX509Svids,
  type X509SvidOutcome,
} from "../svid/issue-x509.ts";
import type { SvidGrounds } from "../svid/svid-grounds.ts";
import { demandKey } from "./demand-key.ts";

interface ForNodeDeps extends Pick<NodeLimits, "admitSvid"> {
  readonly findEntry: (organization: OrganizationId, id: EntryId) => Promise<RegistrationEntry | undefined>;
}

export interface IssueNodeX509Deps extends IssueX509SvidDeps, ForNodeDeps {}
export interface IssueNodeJwtDeps extends IssueJwtSvidDeps, ForNodeDeps {}

interface NodeSvidRequest {
  /** The caller: it found the selectors of the entries to be true of workloads. */
  readonly node: Node;
  /** Serial of the SVID by which it was let in. */
  readonly shown: string;
  readonly context: RequestContext;
}

/** What a workload of the Node is to have an SVID by. */
interface NodeWorkload {
  readonly entry: EntryId;
  /** Of the workload's configuration, as the Node measured it; undefined where it measured none. */
  readonly checksum: AgentChecksum | undefined;
}

/** The same with a key that the Node made: the private half never leaves it. */
export interface NodeX509Item extends NodeWorkload {
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
}

export interface IssueNodeX509Request extends NodeSvidRequest {
  readonly items: readonly NodeX509Item[];
}

export interface IssueNodeJwtRequest extends NodeSvidRequest, NodeWorkload {
  /** At least one. */
  readonly audience: readonly string[];
}

/**
 * Issues X.509-SVIDs to a Node for workloads of its own.
 *
 * @returns one outcome for each item, in order: `not_found` for an entry of which the Node is not the parent, whether or not
 *   there is one; `invalid_request` for a key that is none; `too_many_requests` for one more than the Node may ask for; or as
 *   issueX509Svids does
 * @throws DomainError as issueX509Svids does
 */
export async function issueX509ToNode(
  deps: IssueNodeX509Deps,
  { items, ...asked }: IssueNodeX509Request,
): Promise<readonly X509SvidOutcome[]> {
  const requests = await Promise.all(items.map((item) => requestFor(deps, asked, item)));
  const outcomes = await issueX509Svids(
    deps,
    requests.flatMap((request) => ("refused" in request ? [] : request)),
  );
  return requests.flatMap((request) => ("refused" in request ? request : (outcomes.get(request) ?? [])));
}

async function requestFor(
  deps: IssueNodeX509Deps,
  asked: NodeSvidRequest,
  { publicKey, ...workload }: NodeX509Item,
): Promise<IssueX509SvidRequest | { readonly refused: DomainError }> {
  try {
    deps.admitSvid(asked.node.id, "x509", workload.entry);
    await demandKey(deps, "svid.refused", trailOfNode(asked), publicKey);
    return { ...(await groundsFor(deps, asked, workload)), publicKey };
  } catch (error) {
    if (!(error instanceof DomainError) || !itemFaults.has(error.code)) throw error;
    return { refused: error };
  }
}

/** What is wrong with one item is no reason to refuse the others. */
const itemFaults: ReadonlySet<string> = new Set(["invalid_request", "not_found", "too_many_requests"]);

/**
 * Issues a JWT-SVID to a Node for a workload of its own.
 *
 * @throws DomainError `not_found`, `too_many_requests` as above; or as issueJwtSvid does
 */
export async function issueJwtToNode(
  deps: IssueNodeJwtDeps,
  { audience, ...asked }: IssueNodeJwtRequest,
): Promise<IssuedJwtSvid> {
  deps.admitSvid(asked.node.id, "jwt", asked.entry);
  return issueJwtSvid(deps, { ...(await groundsFor(deps, asked, asked)), audience });
}

async function groundsFor(
  deps: ForNodeDeps & Pick<RecordDeps, "recordRefusal">,
  asked: NodeSvidRequest,
  { entry: id, checksum }: NodeWorkload,
): Promise<SvidGrounds> {
  const { node, shown, context } = asked;
  const entry = await deps.findEntry(node.organization, id);
  if (entry?.parent !== node.id) throw await refuse(deps, "svid.refused", trailOfNode(asked), id, noEntry);
  return { entry: { ...entry, checksum }, node: { id: node.id, svid: shown }, context };
}

function trailOfNode({ node: { organization, id }, context }: NodeSvidRequest): Trail {
  return { organization, actor: { kind: "node", id }, ...requestOf(context), action: "svid.issue" };
}

const noEntry = plainRefusal("not_found", "there is no such entry");
