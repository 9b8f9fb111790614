import { z } from "zod";
import {
  anId,
  aSpiffeId,
  aTime,
  aTrustDomain,
  ledgerPositionSchema,
  listQueryOf,
  pageOf,
  withLedger,
} from "./fields.ts";
import { operation } from "./operation.ts";
import { trustBundleSchema } from "./trust-bundle.ts";

const aProfile = z.enum(["https_web", "https_spiffe"]);
const anEndpointUrl = z
  .url()
  .max(2048)
  .refine(isEndpointUrl, "must be an https URL without user, password and fragment");
/** Not more than a body takes; a chain of authorities is far shorter. */
const pemCharsMax = 32_768;

const anHour = 3600;
const aTrustLife = z
  .int()
  .min(anHour)
  .max(30 * 24 * anHour);
const trustedForText =
  "For how many seconds a bundle is believed after it was last fetched, though its authorities live longer.";

export const addFederationRequestSchema = z.strictObject({
  trust_domain: aTrustDomain,
  endpoint_url: anEndpointUrl,
  profile: aProfile.describe(
    "How the endpoint's server proves what it is: by a certificate of the web, or by an X.509-SVID of the trust domain.",
  ),
  endpoint_spiffe_id: aSpiffeId.optional().describe("With `https_spiffe`: whose the X.509-SVID has to be."),
  bundle: trustBundleSchema
    .optional()
    .describe("With `https_spiffe`: the bundle that the server is verified by the first time."),
  ca: z
    .string()
    .min(1)
    .max(pemCharsMax)
    .optional()
    .describe(
      "With `https_web`: PEM of the authorities that the certificate may be from, in place of the public ones.",
    ),
  allow_private: z
    .boolean()
    .default(false)
    .describe("Whether the endpoint may be at an address that is not public."),
  trusted_for: aTrustLife.default(86_400).describe(trustedForText),
});
/** A foreign trust domain whose SVIDs workloads may verify, for those entries that name it. */
export const federationSchema = z.strictObject({
  id: anId("federation"),
  trust_domain: aTrustDomain,
  endpoint_url: z.string().max(2048),
  profile: aProfile,
  endpoint_spiffe_id: aSpiffeId.optional(),
  has_ca: z.boolean(),
  allow_private: z.boolean(),
  trusted_for: aTrustLife.describe(trustedForText),
  status: z.enum(["active", "deleted"]),
  bundle: z
    .strictObject({
      sha256: z.string().max(64),
      sequence: z.int().nonnegative().optional(),
      refresh_hint: z.int().nonnegative().optional(),
      x509_authorities: z.int().nonnegative(),
      jwt_authorities: z.int().nonnegative(),
      ends_at: aTime.optional().describe("Until when it is believed, unless it is fetched again."),
    })
    .optional()
    .describe("What is held; absent until the first was fetched."),
  fetched_at: aTime.optional(),
  failed_at: aTime.optional(),
  failure: z.string().max(1024).optional().describe("Why the last attempt failed."),
  next_fetch_at: aTime,
  created_at: aTime,
});
export const federationChangedSchema = federationSchema.extend(withLedger);
/** Its entry is there when the bundle was another. */
export const federationRefreshedSchema = federationSchema.extend({ ledger: ledgerPositionSchema.optional() });

const params = z.strictObject({ trust_domain: aTrustDomain });

export const addFederation = operation({
  name: "addFederation",
  method: "post",
  path: "/v1/federation",
  summary: "Federates with a foreign trust domain: fetches its bundle now and from now on.",
  anyOf: ["admin"],
  status: 201,
  body: addFederationRequestSchema,
  answer: federationChangedSchema,
});
export const listFederations = operation({
  name: "listFederations",
  method: "get",
  path: "/v1/federation",
  summary: "Lists the foreign trust domains, and how fetching their bundles goes.",
  anyOf: ["admin", "audit"],
  refusedWith: ["not_authorized"],
  query: listQueryOf("federation"),
  answer: pageOf(federationSchema),
});
export const getFederation = operation({
  name: "getFederation",
  method: "get",
  path: "/v1/federation/{trust_domain}",
  summary: "Shows one foreign trust domain.",
  anyOf: ["admin", "audit"],
  refusedWith: ["not_authorized"],
  params,
  answer: federationSchema,
});
export const refreshFederation = operation({
  name: "refreshFederation",
  method: "post",
  path: "/v1/federation/{trust_domain}/refresh",
  summary: "Fetches the bundle of a foreign trust domain now; `failure` tells where that did not do.",
  anyOf: ["admin"],
  params,
  answer: federationRefreshedSchema,
});
export const removeFederation = operation({
  name: "removeFederation",
  method: "delete",
  path: "/v1/federation/{trust_domain}",
  summary: "Ends the federation with a trust domain: no workload is given its bundle any more.",
  anyOf: ["admin"],
  params,
  answer: federationChangedSchema,
});

function isEndpointUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, hash } = new URL(text);
  return protocol === "https:" && username === "" && password === "" && hash === "";
}
