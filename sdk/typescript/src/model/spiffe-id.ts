import type { Brand } from "./brand.ts";
import {
  type AgentId,
  type NodeId,
  type OperatorId,
  type OrganizationId,
  parseId,
  parseOrganizationId,
  type ResourceId,
} from "./ids.ts";

/** A SPIFFE ID in its only spelling: `spiffe://<trust domain>`, or `spiffe://<trust domain>/<path>`. */
export type SpiffeId = Brand<string, "SpiffeId">;
export type TrustDomain = Brand<string, "TrustDomain">;

/** Who a SPIFFE ID of this installation names. */
export type Principal =
  | { readonly kind: "agent"; readonly organization: OrganizationId; readonly id: AgentId }
  | { readonly kind: "resource"; readonly organization: OrganizationId; readonly id: ResourceId }
  | { readonly kind: "operator"; readonly organization: OrganizationId; readonly id: OperatorId }
  | { readonly kind: "node"; readonly organization: OrganizationId; readonly id: NodeId };

export type PrincipalKind = Principal["kind"];

const scheme = "spiffe://";
const bytesMax = 2048;
const trustDomainName = /^[a-z0-9._-]{1,255}$/;
const pathSegment = /^[a-zA-Z0-9._-]+$/;

/**
 * The SPIFFE ID that `text` is, or undefined. Percent-encoding, empty and dot segments, query, port and upper-case
 * trust domains are refused, not mended: an ID has one spelling.
 *
 * @see SPIFFE-ID, sections 2.1 to 2.3
 */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > bytesMax || !text.startsWith(scheme)) return undefined;
  const [trustDomain = "", ...path] = text.slice(scheme.length).split("/");
  if (!trustDomainName.test(trustDomain)) return undefined;
  const legal = path.every((segment) => pathSegment.test(segment) && segment !== "." && segment !== "..");
  return legal ? (text as SpiffeId) : undefined;
}

/** The trust domain that `text` names, or undefined. */
export function parseTrustDomain(text: string): TrustDomain | undefined {
  return trustDomainName.test(text) ? (text as TrustDomain) : undefined;
}

/** The trust domain that an ID is of. */
export function trustDomainOf(id: SpiffeId): TrustDomain {
  return id.slice(scheme.length).split("/", 1)[0] as TrustDomain;
}

/** The path of an ID with its leading slash; empty for the ID of a trust domain itself. */
export function pathOf(id: SpiffeId): string {
  return id.slice(scheme.length + trustDomainOf(id).length);
}

/** The SPIFFE ID, and so the `client_id`, of a principal. */
export function spiffeIdOf(trustDomain: TrustDomain, principal: Principal): SpiffeId {
  return `spiffe://${trustDomain}/org/${principal.organization}/${principal.kind}/${principal.id}` as SpiffeId;
}

/** The SPIFFE ID of the server itself. */
export function spiffeIdOfServer(trustDomain: TrustDomain): SpiffeId {
  return `spiffe://${trustDomain}/countersign/server` as SpiffeId;
}

/** The principal of this trust domain that `text` names, or undefined: a foreign ID names nobody here. */
export function principalOf(trustDomain: TrustDomain, text: string): Principal | undefined {
  const prefix = `spiffe://${trustDomain}/org/`;
  if (!text.startsWith(prefix)) return undefined;
  const [organizationText = "", kind = "", idText = "", ...more] = text.slice(prefix.length).split("/");
  const organization = parseOrganizationId(organizationText);
  if (organization === undefined || more.length > 0) return undefined;
  if (kind !== "agent" && kind !== "resource" && kind !== "operator" && kind !== "node") return undefined;
  const id = parseId(kind, idText);
  return id === undefined ? undefined : ({ kind, organization, id } as Principal);
}
