import { z } from "zod";
import {
  aName,
  anId,
  anOrganization,
  aStatus,
  aTime,
  idParams,
  listQueryOf,
  pageOf,
  withLedger,
} from "./fields.ts";
import { operation } from "./operation.ts";

/** The name of a claim; its value never has to be escaped where both stand together. */
const aClaimName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9_.:/-]+$/, "must be the name of a claim: letters, digits and _ . : / -");
const aPlainText = z
  .string()
  .min(1)
  .max(512)
  .refine(
    (text) => text.isWellFormed() && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text),
    "must be text without control characters",
  );
const anAlgorithm = z.enum(["RS256", "PS256", "ES256", "ES384", "EdDSA"]);
const aTenant = z.strictObject({ name: aClaimName, value: aPlainText });
/** A public key that an issuer may sign with; a private part is refused by the journey, which says so. */
const aPublicJwk = z.looseObject({ kty: z.enum(["RSA", "EC", "OKP"]), kid: z.string().min(1).max(256) });
const claimsMax = 16;
const agentsMax = 1_000_000;

const members = {
  kind: z
    .enum(["workload", "id_jag"])
    .describe("What its assertions are of: workloads of a platform, or people, for whom agents act."),
  issuer: z.string().min(1).max(512).describe("As its tokens spell it."),
  audience: aPlainText.describe("What its assertions must name as their sole `aud`."),
  tenant_claim: aTenant.describe("The claim by which a token of an issuer that serves many is yours."),
  max_age_seconds: z.int().min(1).max(3600).describe("Of an assertion, from its `iat` on."),
  algorithms: z.array(anAlgorithm).min(1).max(5),
  max_agents: z
    .int()
    .min(0)
    .max(agentsMax)
    .describe("How many agents that are not retired may have been made of its subjects."),
  checksum_claims: z
    .array(aClaimName)
    .max(3)
    .refine(({ length }) => length !== 2, "must be one claim, or three, or none")
    .describe(
      "Claims that say what an agent is made of: its checksum; or model, prompt_sha256 and tools_sha256.",
    ),
};

export const createTrustedIssuerRequestSchema = z.strictObject({
  issuer: members.issuer,
  kind: members.kind.default("workload"),
  audience: members.audience
    .optional()
    .describe(
      "Has `/org/<organization>` in it. Default: the server's issuer and that; of `id_jag`, that issuer.",
    ),
  tenant_claim: members.tenant_claim.optional(),
  jwks: z
    .looseObject({ keys: z.array(aPublicJwk).min(1).max(64) })
    .optional()
    .describe("Its keys; without them, those that it publishes are fetched."),
  max_age_seconds: members.max_age_seconds.default(600),
  algorithms: members.algorithms.default(["RS256", "ES256"]),
  max_agents: members.max_agents.default(1000),
  checksum_claims: members.checksum_claims.default([]),
});
export const trustedIssuerSchema = z.strictObject({
  id: anId("issuer"),
  organization: anOrganization,
  ...members,
  tenant_claim: members.tenant_claim.optional(),
  pinned: z.boolean().describe("Whether its keys were given, and not discovered."),
  status: aStatus,
  created_at: aTime,
});
export type TrustedIssuerWire = z.infer<typeof trustedIssuerSchema>;
export const trustedIssuerChangedSchema = trustedIssuerSchema.extend(withLedger);
export const trustedIssuerPageSchema = pageOf(trustedIssuerSchema);

const aProvision = z.strictObject({
  owner: anId("user"),
  kind: z.enum(["manager", "worker", "tool"]).default("worker"),
  name_prefix: aName.max(64).default("workload "),
});
const claimsEqual = z
  .record(aClaimName, aPlainText)
  .refine((claims) => Object.keys(claims).length <= claimsMax, `must be at most ${claimsMax} claims`);

const noClaims = claimsEqual.refine((claims) => Object.keys(claims).length === 0, "a user is one subject");

/** An agent is one subject, or those whose claims say so; a user is one; a rule makes an agent of each, so is of no subject. */
export const mapSubjectRequestSchema = z.union([
  z.strictObject({
    subject: aPlainText.optional(),
    claims: claimsEqual.default({}),
    agent: anId("agent"),
  }),
  z.strictObject({ subject: aPlainText, claims: noClaims.default({}), user: anId("user") }),
  z.strictObject({ claims: claimsEqual.default({}), provision: aProvision }),
]);
export const subjectMappingSchema = z.strictObject({
  id: anId("mapping"),
  issuer: anId("issuer"),
  subject: z.string().max(512).optional(),
  claims: z.record(z.string().max(128), z.string().max(512)),
  agent: anId("agent").optional(),
  user: anId("user").optional(),
  provision: z
    .strictObject({ owner: anId("user"), kind: z.string().max(16), name_prefix: z.string().max(64) })
    .optional(),
  /** The rule that made it when its subject was first seen. */
  provisioned_by: anId("mapping").optional(),
  status: aStatus,
  created_at: aTime,
});
export type SubjectMappingWire = z.infer<typeof subjectMappingSchema>;
export const subjectMappingChangedSchema = subjectMappingSchema.extend(withLedger);
export const subjectUnmappedSchema = subjectMappingChangedSchema.extend({
  /** Of a rule: how many agents that it made, and that are not retired, get in by it no more. */
  agents_cut_off: z.int().nonnegative().optional(),
});
export const subjectMappingPageSchema = pageOf(subjectMappingSchema);

export const createTrustedIssuer = operation({
  name: "createTrustedIssuer",
  method: "post",
  path: "/v1/trusted-issuers",
  summary: "Lets an issuer of others say which of its workloads asks, or which person an agent acts for.",
  anyOf: ["admin"],
  status: 201,
  body: createTrustedIssuerRequestSchema,
  answer: trustedIssuerChangedSchema,
});
export const listTrustedIssuers = operation({
  name: "listTrustedIssuers",
  method: "get",
  path: "/v1/trusted-issuers",
  summary: "Lists the issuers that the organization trusts, or trusted.",
  anyOf: ["admin"],
  query: listQueryOf("issuer"),
  answer: trustedIssuerPageSchema,
});
export const getTrustedIssuer = operation({
  name: "getTrustedIssuer",
  method: "get",
  path: "/v1/trusted-issuers/{id}",
  summary: "Shows one trusted issuer.",
  anyOf: ["admin"],
  params: idParams("issuer"),
  answer: trustedIssuerSchema,
});
export const deleteTrustedIssuer = operation({
  name: "deleteTrustedIssuer",
  method: "delete",
  path: "/v1/trusted-issuers/{id}",
  summary: "Ends trust in an issuer, at once and for good.",
  anyOf: ["admin"],
  params: idParams("issuer"),
  answer: trustedIssuerChangedSchema,
});
export const mapSubject = operation({
  name: "mapSubject",
  method: "post",
  path: "/v1/trusted-issuers/{id}/subjects",
  summary:
    "Maps subjects of a trusted issuer to an agent or a user, or makes a rule by which each becomes an agent.",
  anyOf: ["admin"],
  status: 201,
  params: idParams("issuer"),
  body: mapSubjectRequestSchema,
  answer: subjectMappingChangedSchema,
});
export const listSubjectMappings = operation({
  name: "listSubjectMappings",
  method: "get",
  path: "/v1/trusted-issuers/{id}/subjects",
  summary: "Lists what the subjects of a trusted issuer are mapped to.",
  anyOf: ["admin"],
  params: idParams("issuer"),
  query: listQueryOf("mapping"),
  answer: subjectMappingPageSchema,
});
export const unmapSubject = operation({
  name: "unmapSubject",
  method: "delete",
  path: "/v1/trusted-issuers/{id}/subjects/{mapping}",
  summary: "Ends a mapping, at once; with a rule also what it let in.",
  anyOf: ["admin"],
  params: z.strictObject({ id: anId("issuer"), mapping: anId("mapping") }),
  answer: subjectUnmappedSchema,
});
