import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { type Config, ConfigError } from "../config.ts";
import { fetchJson } from "../fetch/fetch-json.ts";
import { createIssuerKeys, parsePinnedKeys } from "../journeys/trust/issuer-keys.ts";
import type { K8sCluster } from "../svid/attest/node/k8s-psat.ts";

export interface K8sClustersDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Of this installation: what a token is meant for where the file does not say. */
  readonly issuer: string;
}

const variable = "COUNTERSIGN_K8S_CLUSTERS";
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

type ClusterSettings = z.infer<typeof clusterSchema>;

/**
 * The clusters whose machines may become nodes, as the operator's file lists them, in YAML or JSON. The keys of each are those
 * that it pins or publishes; they are fetched from the hosts that the file names alone, wherever those are.
 *
 * @throws ConfigError for a file that can't be read, or that says anything else
 */
export async function readK8sClusters(
  deps: K8sClustersDeps,
  { k8sClustersFile }: Config,
): Promise<readonly K8sCluster[]> {
  if (k8sClustersFile === undefined) return [];
  const result = clustersSchema.safeParse(await readYaml(k8sClustersFile));
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new ConfigError(`${variable}: ${["clusters", ...(issue?.path ?? [])].join(".")} ${issue?.message}`);
  }
  const pathOf = (file: string | undefined) =>
    file === undefined ? undefined : resolve(dirname(k8sClustersFile), file);
  return Promise.all(
    result.data.map((settings) =>
      openCluster(deps, {
        ...settings,
        jwks_file: pathOf(settings.jwks_file),
        ca_file: pathOf(settings.ca_file),
        token_file: pathOf(settings.token_file),
      }),
    ),
  );
}

async function openCluster(deps: K8sClustersDeps, settings: ClusterSettings): Promise<K8sCluster> {
  const { name, issuer, jwks_uri, jwks_file, ca_file, token_file } = settings;
  const url = jwks_uri ?? issuer;
  const privateHosts = URL.canParse(url) ? [new URL(url).host] : [];
  const issuerKeys = createIssuerKeys({
    now: deps.now,
    jwksUri: jwks_uri,
    async fetchJson(url) {
      // The token goes to nobody else, and no document leads us elsewhere.
      if (!privateHosts.includes(new URL(url).host))
        throw new Error(
          `the keys of cluster ${name} are at a host that ${variable} does not name: set jwks_uri`,
        );
      const [ca, token] = await Promise.all([ca_file, token_file].map(readText));
      return fetchJson({ url, privateHosts, ca, token: token?.trim() });
    },
  });
  // Told at the start, and not when the first machine comes.
  const [jwks] = await Promise.all([jwks_file, ca_file, token_file].map(readSetting));
  const pinned = jwks === undefined ? undefined : parsePinnedKeys(jwks);
  if (pinned !== undefined && "fault" in pinned)
    throw new ConfigError(`${variable}: jwks_file of ${name}: ${pinned.fault}`);
  return {
    name,
    issuer,
    // A token for another installation is none for this one.
    audience: settings.audience ?? deps.issuer,
    serviceAccounts: settings.service_accounts,
    maxAgeSeconds: settings.max_age_seconds,
    // Pinned keys are read anew: they are replaced while we run.
    keyOf: async (kid, alg) => issuerKeys.keyOf({ issuer, jwks: await readText(jwks_file) }, kid, alg),
  };
}

async function readYaml(path: string): Promise<unknown> {
  const text = await readSetting(path);
  try {
    return parse(text ?? "");
  } catch (error) {
    throw new ConfigError(`${variable} is neither YAML nor JSON`, { cause: error });
  }
}

async function readSetting(path: string | undefined): Promise<string | undefined> {
  try {
    return await readText(path);
  } catch (error) {
    throw new ConfigError(`${variable}: the file, or one that it names, can't be read`, { cause: error });
  }
}

async function readText(path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : readFile(path, "utf8");
}
