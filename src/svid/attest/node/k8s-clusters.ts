import type { CryptoKey } from "jose";
import { z } from "zod";
import { fetchJson } from "../../../fetch/fetch-json.ts";
import type { K8sCluster } from "./k8s-psat.ts";

const clustersMax = 64;

const aFile = z.string().min(1).max(4096);
const anHttpsUrl = z
  .string()
  .max(512)
  .refine((text) => URL.canParse(text) && new URL(text).protocol === "https:", "must be an https URL");
const aServiceAccount = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}:[a-z0-9][a-z0-9.-]{0,252}$/, "must be <namespace>:<service account>");
const clusterSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/, "must be a name in lower case"),
    issuer: z.string().min(1).max(512),
    jwks_uri: anHttpsUrl.optional(),
    jwks_file: aFile.optional(),
    ca_file: aFile.optional(),
    token_file: aFile.optional(),
    audience: z.string().min(1).max(255).optional(),
    service_accounts: z.array(aServiceAccount).min(1).max(64),
    max_age_seconds: z.int().min(60).max(600).default(600),
  })
  .refine(({ jwks_uri, jwks_file }) => jwks_uri === undefined || jwks_file === undefined, {
    error: "keys are pinned by jwks_file, or fetched from jwks_uri, and not both",
  })
  .refine(
    ({ issuer, jwks_uri, jwks_file }) =>
      (jwks_uri ?? jwks_file) !== undefined || anHttpsUrl.safeParse(issuer).success,
    { path: ["issuer"], error: "must be an https URL, or the keys told by jwks_uri or jwks_file" },
  );
const clustersSchema = z
  .array(clusterSchema)
  .max(clustersMax)
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "two have one name");

/** A cluster, as the operator's file says it. */
export type K8sClusterSettings = z.infer<typeof clusterSchema>;

/** @returns why it is no list of clusters; or the clusters */
export function parseK8sClusters(
  said: unknown,
): { readonly fault: string } | { readonly clusters: readonly K8sClusterSettings[] } {
  const result = clustersSchema.safeParse(said);
  if (result.success) return { clusters: result.data };
  const [issue] = result.error.issues;
  return { fault: `${["clusters", ...(issue?.path ?? [])].join(".")} ${issue?.message}` };
}

export interface K8sClusterDeps {
  /** Of this installation: what a token is meant for where the settings do not say. */
  readonly issuer: string;
  /** What a file holds that the settings name. @throws Error when it can't be read */
  readonly readText: (file: string) => Promise<string>;
  /** Makes the reader of one issuer's keys, as they are pinned or published. */
  readonly createKeys: (published: PublishedKeys) => ClusterKeys;
}

interface PublishedKeys {
  /** Where they are; undefined: where the issuer's discovery document says. */
  readonly jwksUri: string | undefined;
  readonly fetchJson: (url: string) => Promise<unknown>;
}

interface ClusterKeys {
  readonly keyOf: (
    of: { readonly issuer: string; readonly jwks: string | undefined },
    kid: string,
    alg: string,
  ) => Promise<CryptoKey | undefined>;
}

/**
 * A cluster whose machines may become nodes. Its keys are those that it pins or publishes; they are fetched from the host
 * that its settings name alone, wherever that is.
 */
export function createK8sCluster(
  { issuer: ourIssuer, readText, createKeys }: K8sClusterDeps,
  settings: K8sClusterSettings,
): K8sCluster {
  const { name, issuer, jwks_uri, jwks_file, ca_file, token_file } = settings;
  const textOf = async (file: string | undefined) => (file === undefined ? undefined : readText(file));
  const url = jwks_uri ?? issuer;
  const privateHosts = URL.canParse(url) ? [new URL(url).host] : [];
  const keys = createKeys({
    jwksUri: jwks_uri,
    async fetchJson(url) {
      // The token goes to nobody else, and no document leads us elsewhere.
      if (!privateHosts.includes(new URL(url).host))
        throw new Error(
          `the keys of cluster ${name} are at a host that its settings do not name: set jwks_uri`,
        );
      const [ca, token] = await Promise.all([ca_file, token_file].map(textOf));
      return fetchJson({ url, privateHosts, ca, token: token?.trim() });
    },
  });
  return {
    name,
    issuer,
    // A token for another installation is none for this one.
    audience: settings.audience ?? ourIssuer,
    serviceAccounts: settings.service_accounts,
    maxAgeSeconds: settings.max_age_seconds,
    // Pinned keys are read anew: they are replaced while we run.
    keyOf: async (kid, alg) => keys.keyOf({ issuer, jwks: await textOf(jwks_file) }, kid, alg),
  };
}
