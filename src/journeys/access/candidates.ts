import {
  type AgentId,
  type OrganizationId,
  parseId,
  type ResourceId,
  type UserId,
} from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Agent } from "../../domain/agent.ts";
import type { Resource } from "../../domain/resource.ts";
import type { User } from "../../domain/user.ts";
import type { EvaluateDeps } from "./evaluate.ts";

/** A page of what is read by id, from behind one of them. */
interface IdPage<Id> {
  readonly after: Id | undefined;
  readonly limit: number;
}

export interface CandidateDeps {
  /** Ids of the entities of a type that the policy in force knows, in order. */
  readonly entityIdsAfter: (
    of: { readonly organization: OrganizationId; readonly type: string },
    page: { readonly after: string; readonly limit: number },
  ) => readonly string[];
  readonly listAgents: (organization: OrganizationId, page: IdPage<AgentId>) => Promise<readonly Agent[]>;
  readonly listUsers: (organization: OrganizationId, page: IdPage<UserId>) => Promise<readonly User[]>;
  readonly listResources: (
    organization: OrganizationId,
    page: IdPage<ResourceId>,
  ) => Promise<readonly Resource[]>;
  readonly findResource: (organization: OrganizationId, id: ResourceId) => Promise<Resource | undefined>;
}

/** What may be among the results of a search. */
export interface Candidate {
  /** As an evaluation names it. */
  readonly id: string;
  /** From where the search goes on behind it. */
  readonly position: string;
  /** It is registered, and was read just now. */
  readonly known?: Partial<Pick<EvaluateDeps, "findAgent" | "findUser" | "findResourceByAudience">>;
}

export interface CandidatesRequest {
  readonly caller: Principal;
  readonly type: string;
  /** The position of the last candidate that was looked at; empty: from the first on. */
  readonly from: string;
}

const pageSize = 100;

/**
 * All of a type, each once and in order: first what the policy knows, then what is registered. A resource is told of no
 * registered resource but itself.
 */
export async function* candidatesOf(
  deps: CandidateDeps,
  { caller, type, from }: CandidatesRequest,
): AsyncGenerator<Candidate> {
  const { organization } = caller;
  const isRegisteredOnly = type === "agent" || type === "resource";
  const after = from.slice(from.indexOf(":") + 1);
  if (!isRegisteredOnly && !from.startsWith("registered:")) {
    const read = async (page: IdPage<string>) =>
      deps.entityIdsAfter({ organization, type }, { ...page, after: page.after ?? "" });
    for await (const id of each(read, after, (id) => id)) {
      // A User's id names a User, whatever the policy says.
      if (type !== "user" || parseId("user", id) === undefined) yield { id, position: `policy:${id}` };
    }
  }
  yield* registered(deps, caller, type, from.startsWith("registered:") ? after : "");
}

async function* registered(
  deps: CandidateDeps,
  caller: Principal,
  type: string,
  after: string,
): AsyncGenerator<Candidate> {
  const { organization } = caller;
  if (type === "agent") {
    const read = (page: IdPage<AgentId>) => deps.listAgents(organization, page);
    for await (const agent of each(read, parseId("agent", after), ({ id }) => id))
      yield { id: agent.id, position: `registered:${agent.id}`, known: { findAgent: async () => agent } };
  }
  if (type === "user") {
    const read = (page: IdPage<UserId>) => deps.listUsers(organization, page);
    for await (const user of each(read, parseId("user", after), ({ id }) => id))
      yield { id: user.id, position: `registered:${user.id}`, known: { findUser: async () => user } };
  }
  if (type === "resource") yield* registeredResources(deps, caller, parseId("resource", after));
}

async function* registeredResources(
  deps: CandidateDeps,
  { organization, ...caller }: Principal,
  after: ResourceId | undefined,
): AsyncGenerator<Candidate> {
  const asCandidate = (resource: Resource): Candidate => ({
    id: resource.audience,
    position: `registered:${resource.id}`,
    known: { findResourceByAudience: async () => resource },
  });
  if (caller.kind === "resource") {
    const own = after === undefined ? await deps.findResource(organization, caller.id) : undefined;
    if (own !== undefined) yield asCandidate(own);
    return;
  }
  const read = (page: IdPage<ResourceId>) => deps.listResources(organization, page);
  for await (const resource of each(read, after, ({ id }) => id)) yield asCandidate(resource);
}

/** Everything behind an id, page by page as it is asked for. */
async function* each<Id, Found>(
  read: (page: IdPage<Id>) => Promise<readonly Found[]>,
  from: Id | undefined,
  idOf: (found: Found) => Id,
): AsyncGenerator<Found> {
  let after = from;
  for (;;) {
    const page = await read({ after, limit: pageSize });
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    after = idOf(last);
  }
}
