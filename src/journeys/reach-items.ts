import type { ReachItem } from "@countersign/sdk/contract/reach";
import { type AgentId, parseId } from "@countersign/sdk/model/ids";
import { DomainError } from "../domain/domain-error.ts";
import type { ReachedDelegation, ReachNow, ReachPlace, RevokedNode } from "../domain/revocation.ts";
import type { ReachPage, ReachQuery, StoppedPage } from "../store/reach.ts";

export interface ReachItemsDeps {
  readonly listReach: (reach: ReachQuery, page: ReachPage) => Promise<readonly ReachedDelegation[]>;
  readonly listStoppedAgents: (reach: ReachQuery, page: StoppedPage) => Promise<readonly AgentId[]>;
}

const itemsAtOnce = 1000;

/** Everything that a revocation reached, in the order of the leaves under its receipt's root, page by page. */
export async function* reachItems(deps: ReachItemsDeps, reach: ReachQuery): AsyncGenerator<ReachItem> {
  let cursor: string | undefined;
  do {
    const { items, next } = await pageOfReach(deps, reach, { cursor, limit: itemsAtOnce });
    yield* items;
    cursor = next;
  } while (cursor !== undefined);
}

export interface ReachItemsPage {
  readonly items: readonly ReachItem[];
  /** Cursor of the following page; undefined on the last. */
  readonly next: string | undefined;
}

/**
 * A page of that list.
 *
 * @throws DomainError `invalid_request` for a cursor that no page gave
 */
export async function pageOfReach(
  deps: ReachItemsDeps,
  reach: ReachQuery,
  { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
): Promise<ReachItemsPage> {
  const after = cursor === undefined ? undefined : placeOf(cursor);
  const items: ReachItem[] = after === undefined ? ownItem(reach) : [];
  if (after === undefined || "agent" in after) {
    const room = limit - items.length;
    const agents = await deps.listStoppedAgents(reach, { after: after?.agent, limit: room });
    items.push(...agents.map((id) => ({ kind: "agent", id }) as const));
    // A list has at least one item, and a page room for one: a full page has a last agent, or is the node alone.
    if (items.length === limit) return { items, next: agents.at(-1) ?? beginning };
  }
  const place = after !== undefined && "root" in after ? after : undefined;
  const room = limit - items.length;
  const delegations = await deps.listReach(reach, { after: place, limit: room });
  items.push(...delegations.map(itemOf));
  const last = delegations.at(-1);
  return { items, next: last && delegations.length === room ? `${last.root}-${last.id}` : undefined };
}

export interface PreviewReachDeps extends ReachItemsDeps {
  readonly now: () => number;
  readonly reachNow: (node: RevokedNode, now: Date) => Promise<ReachNow>;
}

const itemsShownMax = 50;

/** What would end with a node if it were revoked now, and the first of it. */
export async function previewReach(
  deps: PreviewReachDeps,
  node: RevokedNode,
): Promise<ReachNow & Pick<ReachItemsPage, "items">> {
  const [reach, { items }] = await Promise.all([
    deps.reachNow(node, new Date(deps.now())),
    pageOfReach(deps, node, { limit: itemsShownMax }),
  ]);
  return { ...reach, items };
}

/** A node that is among neither the agents nor the delegations that are reached is an item of its own. */
function ownItem({ kind, id }: RevokedNode): ReachItem[] {
  return kind === "user" || kind === "token" ? [{ kind, id }] : [];
}

function itemOf({ id, root, parent, grantee, expiresAtMs }: ReachedDelegation): ReachItem {
  const expires_at = new Date(expiresAtMs).toISOString();
  return { kind: "delegation", id, root, ...(parent && { parent }), agent: grantee, expires_at };
}

/** Behind the node itself. */
const beginning = "-";

function placeOf(cursor: string): ReachPlace | { readonly agent: AgentId | undefined } {
  const agent = parseId("agent", cursor);
  if (agent !== undefined || cursor === beginning) return { agent };
  const [root, id, ...more] = cursor.split("-").map((text) => parseId("delegation", text));
  if (root !== undefined && id !== undefined && more.length === 0) return { root, id };
  throw new DomainError("invalid_request", "cursor: must be the `next` of a page");
}
