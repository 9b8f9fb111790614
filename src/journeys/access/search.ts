import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Resource } from "../../domain/resource.ts";
import { type Candidate, type CandidateDeps, candidatesOf } from "./candidates.ts";
import {
  type AccessQuestion,
  demandAsker,
  type EvaluateDeps,
  evaluateAccess,
  type Named,
  objectOf,
} from "./evaluate.ts";
import { readingOnce } from "./evaluate-each.ts";
import { readSearchToken, searchTokenOf } from "./search-token.ts";

export interface SearchDeps extends EvaluateDeps, CandidateDeps {
  /** Those that lines of the policy in force name exactly. */
  readonly scopesNamed: (organization: OrganizationId) => readonly string[];
}

/** A question with one thing left open: all that it may be is looked for. */
export type Search = Pick<AccessQuestion, "attributes"> &
  (
    | {
        readonly for: "subject";
        readonly type: string;
        readonly action: string;
        readonly resource: Named;
      }
    | {
        readonly for: "resource";
        readonly type: string;
        readonly subject: Named;
        readonly action: string;
      }
    | { readonly for: "action"; readonly subject: Named; readonly resource: Named }
  );

export interface SearchRequest {
  readonly caller: Principal;
  readonly search: Search;
  readonly page: { readonly limit: number; readonly token: string | undefined };
}

/** A page of what was found: ids, or names of actions. */
export interface Found {
  readonly ids: readonly string[];
  /** Of the next page; undefined on the last. */
  readonly next: string | undefined;
}

// One that is registered takes several reads, and one that the policy knows takes none.
const effortMax = 2_000;
const effortOfRegistered = 4;

/**
 * Finds for what a question would be answered with yes. A page looks at 2,000 names that the policy knows, or at 500 that are
 * registered, and tells of those that may: it may be short, and even empty, while more follow.
 *
 * @throws DomainError as evaluateAccess does; `invalid_request` for a token that is not of this search
 * @see AuthZEN Authorization API 1.0, section 8
 */
export async function searchAccess(deps: SearchDeps, request: SearchRequest): Promise<Found> {
  const { caller, search, page } = request;
  demandAsker(caller);
  const reading = readingOnce(deps);
  const identity = { caller: { ...caller }, search: asJson(search) };
  const from = page.token === undefined ? "" : readSearchToken(identity, page.token);
  // Before anything is looked for: that nothing was found would tell of a Resource that is not the caller's to ask about.
  const object = search.for === "resource" ? undefined : await objectOf(reading, caller, search.resource);
  const candidates =
    search.for === "action"
      ? actionsOf(deps, caller, object, from)
      : candidatesOf(deps, { caller, type: search.type, from });
  const ids: string[] = [];
  let effort = 0;
  let position = "";
  for await (const candidate of candidates) {
    if (ids.length === page.limit || effort >= effortMax)
      return { ids, next: searchTokenOf(identity, position) };
    const question = questionWith(search, candidate);
    const { allowed } = await evaluateAccess({ ...reading, ...candidate.known }, { caller, question });
    if (allowed) ids.push(candidate.id);
    position = candidate.position;
    effort += candidate.known === undefined ? 1 : effortOfRegistered;
  }
  return { ids, next: undefined };
}

/** The scopes that the policy names, and those of the Resource where it is registered. */
async function* actionsOf(
  deps: Pick<SearchDeps, "scopesNamed">,
  { organization }: Principal,
  object: Resource | string | undefined,
  from: string,
): AsyncGenerator<Candidate> {
  const registered = typeof object === "object" ? object.scope : [];
  const all = new Set([...deps.scopesNamed(organization), ...registered]);
  for (const scope of [...all].sort()) {
    if (`scope:${scope}` > from) yield { id: scope, position: `scope:${scope}` };
  }
}

function questionWith(search: Search, { id }: Candidate): AccessQuestion {
  const { attributes } = search;
  switch (search.for) {
    case "subject": {
      const { type, action, resource } = search;
      return { subject: { type, id }, action, resource, attributes };
    }
    case "resource": {
      const { type, subject, action } = search;
      return { subject, action, resource: { type, id }, attributes };
    }
    case "action": {
      const { subject, resource } = search;
      return { subject, action: id, resource, attributes };
    }
  }
}

function asJson(search: Search): JsonValue {
  return JSON.parse(JSON.stringify(search));
}
