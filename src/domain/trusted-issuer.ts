import {
  type AgentChecksum,
  agentChecksum,
  parseAgentChecksum,
  parseAgentConfiguration,
} from "@countersign/sdk/model/agent-configuration";
import type {
  AgentId,
  OrganizationId,
  SubjectMappingId,
  TrustedIssuerId,
  UserId,
} from "@countersign/sdk/model/ids";
import type { AgentKind } from "./agent.ts";

/** What the assertions of a TrustedIssuer are of: workloads of a platform, or of people (`id_jag`). */
export type TrustedIssuerKind = "workload" | "id_jag";

/** The claim by which a token of an issuer that serves many is one organization's. Never one that can be renamed. */
export interface TenantClaim {
  readonly name: string;
  readonly value: string;
}

/** An issuer of others, whose assertions one Organization lets say which workload asks. */
export interface TrustedIssuer {
  readonly id: TrustedIssuerId;
  readonly organization: OrganizationId;
  /** Compared octet by octet with `iss`. */
  readonly issuer: string;
  readonly kind: TrustedIssuerKind;
  /** What its assertions must name as their sole `aud`. */
  readonly audience: string;
  /** The pinned JWK set, as JSON; undefined: discovered at the issuer. */
  readonly jwks: string | undefined;
  readonly tenant: TenantClaim | undefined;
  readonly maxAgeSeconds: number;
  readonly algorithms: readonly AssertionAlgorithm[];
  /** How many Agents that are not retired may have been made of its subjects. */
  readonly maxAgents: number;
  /** Which claims tell of what configuration an Agent is: none; its checksum; or its model, and the hashes of prompt and tools. */
  readonly checksumClaims: readonly string[];
  readonly status: "active" | "distrusted";
  readonly createdAtMs: number;
}

/** Which Agent or User a subject is, or how an Agent is made of a subject that was never seen. */
export type MappedTo =
  | { readonly agent: AgentId }
  | { readonly user: UserId }
  | { readonly owner: UserId; readonly kind: AgentKind; readonly namePrefix: string };

/** What assertions of a TrustedIssuer are mapped to. */
export interface SubjectMapping {
  readonly id: SubjectMappingId;
  readonly organization: OrganizationId;
  readonly issuer: TrustedIssuerId;
  /** Undefined: any. */
  readonly subject: string | undefined;
  /** `name=value`; all of them must be so. */
  readonly claims: readonly string[];
  readonly to: MappedTo;
  /** The rule by which it was made of a subject that was never seen. */
  readonly provisionedBy: SubjectMappingId | undefined;
  readonly status: "active" | "unmapped";
  readonly createdAtMs: number;
}

/** Which trust an assertion may rest on, by what it claims before any of it is verified. */
export interface TrustQuery {
  readonly kind: TrustedIssuerKind;
  readonly issuer: string;
  readonly audience: string;
  /** Undefined: whosever it is. */
  readonly organization: OrganizationId | undefined;
}

/** How trust in an issuer ends, and how a mapping does. Nothing leads back. */
export const distrusting = { from: ["active"], to: "distrusted", entryType: "issuer.distrusted" } as const;
export const unmapping = { from: ["active"], to: "unmapped", entryType: "subject.unmapped" } as const;

/** What the assertions of a TrustedIssuer may be signed by; by none of a shared secret. */
export type AssertionAlgorithm = "RS256" | "PS256" | "ES256" | "ES384" | "EdDSA";

/**
 * Issuers whose keys sign for everybody who has an account there, each with the claims that name a tenant for good: a name
 * can be given up and be another's tomorrow.
 */
const sharedIssuers: ReadonlyMap<string, readonly string[]> = new Map([
  ["https://token.actions.githubusercontent.com", ["repository_owner_id", "repository_id", "enterprise_id"]],
  ["https://gitlab.com", ["namespace_id", "project_id"]],
  ["https://accounts.google.com", ["sub", "azp"]],
  [
    "https://app.terraform.io",
    ["terraform_organization_id", "terraform_project_id", "terraform_workspace_id"],
  ],
  ["https://agent.buildkite.com", ["organization_id", "pipeline_id"]],
  ["https://oidc.vercel.com", ["owner_id", "project_id"]],
]);

/** The claims of which one must name the tenant of this issuer; undefined where none has to. */
export function tenantClaimsOf(issuer: string): readonly string[] | undefined {
  // Another spelling does not make it another's.
  return sharedIssuers.get(issuer.replace(/\/+$/, "").toLowerCase());
}

/** The value of a claim as it is compared: a text, or a whole number as text. Anything else equals nothing. */
function comparable(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return Number.isSafeInteger(value) ? String(value) : undefined;
}

function claimIs(claims: Readonly<Record<string, unknown>>, name: string, value: string): boolean {
  return Object.hasOwn(claims, name) && comparable(claims[name]) === value;
}

/** The sole audience of claims. What was made for somebody else too could have come from there, and so has none. */
export function soleAudienceOf(claims: Readonly<Record<string, unknown>>): string | undefined {
  const [audience, ...more] = [claims["aud"]].flat();
  return typeof audience === "string" && more.length === 0 ? audience : undefined;
}

/**
 * The one trust that claims fall under, by their tenant; undefined for none, and for more than one.
 *
 * @param trusts of those who trust the claims' issuer for their audience
 */
export function trustFor(
  trusts: readonly TrustedIssuer[],
  claims: Readonly<Record<string, unknown>>,
): TrustedIssuer | undefined {
  const [one, ...others] = trusts.filter(
    ({ tenant }) => tenant === undefined || claimIs(claims, tenant.name, tenant.value),
  );
  return others.length === 0 ? one : undefined;
}

/** The configuration that a trust's claims tell of, by its checksum; undefined where they don't, or not as they should. */
export function checksumIn(
  { checksumClaims }: Pick<TrustedIssuer, "checksumClaims">,
  claims: Readonly<Record<string, unknown>>,
): AgentChecksum | undefined {
  const [first, prompt_sha256, tools_sha256] = checksumClaims.map((name) =>
    Object.hasOwn(claims, name) ? claims[name] : undefined,
  );
  if (checksumClaims.length === 1) return typeof first === "string" ? parseAgentChecksum(first) : undefined;
  const configuration = parseAgentConfiguration({ model: first, prompt_sha256, tools_sha256 });
  return configuration && agentChecksum(configuration);
}

/**
 * The mapping that fits best: of an exact subject before one of claims alone, and of more claims before one of fewer.
 *
 * @returns undefined when none fits, or when two fit alike
 */
export function mappingFor(
  mappings: readonly SubjectMapping[],
  subject: string,
  claims: Readonly<Record<string, unknown>>,
): SubjectMapping | undefined {
  const fitting = mappings
    .filter((mapping) => mapping.subject === undefined || mapping.subject === subject)
    .filter((mapping) => mapping.claims.every((claim) => holds(claims, claim)))
    .toSorted((one, other) => rankOf(other) - rankOf(one));
  const [best, next] = fitting;
  if (best === undefined || (next !== undefined && rankOf(next) === rankOf(best))) return undefined;
  return best;
}

const claimsMax = 16;

/**
 * One that names an agent goes before every rule that makes one; and of those of an exact subject what somebody said of it
 * before what a rule made of it.
 */
function rankOf({ subject, claims, to, provisionedBy }: SubjectMapping): number {
  const step = claimsMax + 1;
  const ofAgent = "owner" in to ? 0 : 2 * step;
  const ofSubject = provisionedBy === undefined ? 2 * step : step;
  return ofAgent + (subject === undefined ? 0 : ofSubject) + claims.length;
}

function holds(claims: Readonly<Record<string, unknown>>, pair: string): boolean {
  const at = pair.indexOf("=");
  return claimIs(claims, pair.slice(0, at), pair.slice(at + 1));
}
