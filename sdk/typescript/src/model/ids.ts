import type { Brand } from "./brand.ts";

/** The kinds of thing that carry an id, each with the prefix its ids begin with. */
export const idPrefixes = {
  user: "usr",
  agent: "agt",
  resource: "res",
  operator: "opr",
  credential: "crd",
  delegation: "dlg",
  token: "tok",
  transaction: "txn",
  action: "act",
  entry: "ent",
  node: "nod",
  joinToken: "jnt",
  issuer: "iss",
  mapping: "map",
  federation: "fed",
  proposal: "prp",
} as const;

export type IdKind = keyof typeof idPrefixes;
export type UserId = Brand<string, "UserId">;
export type AgentId = Brand<string, "AgentId">;
export type ResourceId = Brand<string, "ResourceId">;
export type OperatorId = Brand<string, "OperatorId">;
export type CredentialId = Brand<string, "CredentialId">;
export type DelegationId = Brand<string, "DelegationId">;
/** The `jti` of an access token. */
export type TokenId = Brand<string, "TokenId">;
/** The `txn` that all tokens and entries of one transaction share. */
export type TransactionId = Brand<string, "TransactionId">;
/** One authorized action. */
export type ActionId = Brand<string, "ActionId">;
/** A RegistrationEntry. */
export type EntryId = Brand<string, "EntryId">;
/** A Node: a machine that serves the Workload API to what runs on it. */
export type NodeId = Brand<string, "NodeId">;
/** What a join token is known by; never the token. */
export type JoinTokenId = Brand<string, "JoinTokenId">;
/** A TrustedIssuer: somebody else whose assertions say which workload asks. */
export type TrustedIssuerId = Brand<string, "TrustedIssuerId">;
/** A SubjectMapping: which Agent a subject of a TrustedIssuer is. */
export type SubjectMappingId = Brand<string, "SubjectMappingId">;
/** A foreign trust domain, as long as it is federated with. */
export type FederationId = Brand<string, "FederationId">;
/** A policy that waits for a second operator. */
export type ProposalId = Brand<string, "ProposalId">;
/** A tenant's name, unique in the installation: 1 to 63 of `a-z 0-9 -`, never `system`. */
export type OrganizationId = Brand<string, "OrganizationId">;
/** The name of a log: its organization's id, or `system`. */
export type LogId = Brand<string, "LogId">;

/** The id type of each kind. */
export interface IdOf {
  user: UserId;
  agent: AgentId;
  resource: ResourceId;
  operator: OperatorId;
  credential: CredentialId;
  delegation: DelegationId;
  token: TokenId;
  transaction: TransactionId;
  action: ActionId;
  entry: EntryId;
  node: NodeId;
  joinToken: JoinTokenId;
  issuer: TrustedIssuerId;
  mapping: SubjectMappingId;
  federation: FederationId;
  proposal: ProposalId;
}

// Crockford's base 32 in lower case: sorts by value and has no letters that are read for one another.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const timeChars = 10;
const randomChars = 16;
const idBody = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;
const organizationName = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Makes an id: the kind's prefix, then 48 bits of time and 80 random bits, so that ids sort by creation and are
 * never guessed nor assigned twice.
 *
 * @param nowMs milliseconds since the epoch
 * @param random at least 16 random bytes; each gives five bits
 */
export function newId<Kind extends IdKind>(kind: Kind, nowMs: number, random: Uint8Array): IdOf[Kind] {
  if (random.length < randomChars) throw new RangeError(`an id needs ${randomChars} random bytes`);
  let time = "";
  for (let rest = nowMs, place = 0; place < timeChars; place++, rest = Math.floor(rest / 32)) {
    time = alphabet.charAt(rest % 32) + time;
  }
  let tail = "";
  for (const byte of random.subarray(0, randomChars)) tail += alphabet.charAt(byte % 32);
  return `${idPrefixes[kind]}_${time}${tail}` as IdOf[Kind];
}

/** When an id was made, in milliseconds since the epoch. */
export function idTimeMs(id: IdOf[IdKind]): number {
  const start = id.indexOf("_") + 1;
  let timeMs = 0;
  for (const char of id.slice(start, start + timeChars)) timeMs = timeMs * 32 + alphabet.indexOf(char);
  return timeMs;
}

/** The id of this kind that `text` is, or undefined when it is none: ids have one spelling only. */
export function parseId<Kind extends IdKind>(kind: Kind, text: string): IdOf[Kind] | undefined {
  const prefix = `${idPrefixes[kind]}_`;
  return text.startsWith(prefix) && idBody.test(text.slice(prefix.length)) ? (text as IdOf[Kind]) : undefined;
}

/** What kind of thing an id names; undefined for what is no id. */
export function kindOfId(text: string): IdKind | undefined {
  const kinds = Object.keys(idPrefixes) as IdKind[];
  return kinds.find((kind) => parseId(kind, text) !== undefined);
}

/** What ids of a kind look like, for those who describe them: a regular expression. */
export function idPattern(kind: IdKind): string {
  return idBody.source.replace("^", `^${idPrefixes[kind]}_`);
}

/** What the names of organizations and logs look like. */
export const organizationPattern = organizationName.source;

/** The organization id that `text` is, or undefined. `system` is the installation's own log, never a tenant. */
export function parseOrganizationId(text: string): OrganizationId | undefined {
  return organizationName.test(text) && text !== "system" ? (text as OrganizationId) : undefined;
}

/** The log of an organization; it bears the organization's name. */
export function logOf(organization: OrganizationId): LogId {
  return organization as string as LogId;
}

/** The installation's own log: organizations, keys, operators' sign-ins, unauthenticated failures. */
export const systemLog = "system" as LogId;

/** The log id that `text` is, or undefined. */
export function parseLogId(text: string): LogId | undefined {
  return text === systemLog || parseOrganizationId(text) !== undefined ? (text as LogId) : undefined;
}
