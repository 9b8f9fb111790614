import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { type Config, ConfigError } from "../config.ts";
import { createIssuerKeys, parsePinnedKeys } from "../journeys/trust/issuer-keys.ts";
import {
  createK8sCluster,
  type K8sClusterDeps,
  type K8sClusterSettings,
  parseK8sClusters,
} from "../svid/attest/node/k8s-clusters.ts";
import type { K8sCluster } from "../svid/attest/node/k8s-psat.ts";

export interface K8sClustersDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Of this installation: what a token is meant for where the file does not say. */
  readonly issuer: string;
}

const variable = "COUNTERSIGN_K8S_CLUSTERS";

/**
 * The clusters whose machines may become nodes, as the operator's file lists them, in YAML or JSON.
 *
 * @throws ConfigError for a file that can't be read, or that says anything else
 */
export async function readK8sClusters(
  { now, issuer }: K8sClustersDeps,
  { k8sClustersFile }: Config,
): Promise<readonly K8sCluster[]> {
  if (k8sClustersFile === undefined) return [];
  const read = parseK8sClusters(parseYaml(await readSetting(k8sClustersFile)));
  if ("fault" in read) throw new ConfigError(`${variable}: ${read.fault}`);
  const readText = (file: string) => readSetting(resolve(dirname(k8sClustersFile), file));
  // Told at the start, and not when the first machine comes.
  await Promise.all(read.clusters.map((settings) => demandFiles(settings, readText)));
  const deps: K8sClusterDeps = {
    issuer,
    readText,
    createKeys: (published) => createIssuerKeys({ now, ...published }),
  };
  return read.clusters.map((settings) => createK8sCluster(deps, settings));
}

/** @throws ConfigError unless each file that the settings name can be read, and pinned keys are some */
async function demandFiles(
  { name, jwks_file, ca_file, token_file }: K8sClusterSettings,
  readText: (file: string) => Promise<string>,
): Promise<void> {
  for (const file of [ca_file, token_file]) if (file !== undefined) await readText(file);
  if (jwks_file === undefined) return;
  const pinned = parsePinnedKeys(await readText(jwks_file));
  if ("fault" in pinned) throw new ConfigError(`${variable}: jwks_file of ${name}: ${pinned.fault}`);
}

function parseYaml(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new ConfigError(`${variable} is neither YAML nor JSON`, { cause: error });
  }
}

async function readSetting(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new ConfigError(`${variable}: the file, or one that it names, can't be read`, { cause: error });
  }
}
