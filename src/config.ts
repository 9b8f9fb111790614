import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { parseTrustDomain, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { z } from "zod";
import type { KubeletPlace } from "./domain/kubelet.ts";
import { isLoopback } from "./domain/loopback.ts";
import { isServiceLink } from "./domain/service-link.ts";
import { parseKeyEncryptionSecret } from "./keys/key-encryption-key.ts";

/** A setting that an existing installation answers for itself, when nobody gives it. */
export type AssumedSetting = "issuer" | "trustDomain" | "port";

/** Everything that an operator can set, checked. Paths are absolute. */
export interface Config {
  /** Undefined: the embedded PostgreSQL of the data directory. */
  readonly databaseUrl: string | undefined;
  /** An origin; plain http on loopback only. */
  readonly issuer: string;
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly trustDomain: TrustDomain;
  /** 32 octets, or undefined: a file in the data directory. */
  readonly keyEncryptionSecret: Uint8Array | undefined;
  readonly logLevel: LogLevel;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** PEM files of the authority that signs those of the trust domain; undefined: they sign themselves. */
  readonly upstream: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** The port that asks clients for a certificate; undefined: there is none. */
  readonly mtlsPort: number | undefined;
  /** PEM file of the authorities whose certificates make a machine a node; undefined: none do. */
  readonly nodeCaFile: string | undefined;
  /** File that says in which Kubernetes clusters a service account's pods make their machine a node; undefined: in none. */
  readonly k8sClustersFile: string | undefined;
  /** The port that serves the trust bundle and nothing else; undefined: there is none. */
  readonly bundlePort: number | undefined;
  /** Addresses and CIDR ranges whose forwarded headers count. */
  readonly trustedProxies: readonly string[];
  /** Whether a trusted proxy on this very machine may say which certificate a client has: so may each process here. */
  readonly believesLocalClientCert: boolean;
  /** Whether a trusted issuer may be on this very machine, over plain http too: for trying things out. */
  readonly allowsLoopbackIssuers: boolean;
  /** Origin of the server that the CLI talks to. */
  readonly server: string;
  /** The operator's key for the CLI, or undefined: the one in the data directory. */
  readonly operatorKeyFile: string | undefined;
  /** Whether processes of the server's own account get SVIDs: they could read its keys. */
  readonly attestOwnUid: boolean;
  /** Where the configuration of an agent lies on this machine; undefined: none is measured. */
  readonly measure: string | undefined;
  /** Who is asked which pod a workload is in; undefined: nobody. */
  readonly kubelet: KubeletPlace | undefined;
  /** How long what an action may use stays reserved for it where nobody reports the action. */
  readonly reserveForMs: number;
  /** What nobody gave and holds for a first start only. */
  readonly assumed: readonly AssumedSetting[];
}

const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** What the command line sets; it goes before the environment. */
export interface ConfigOverrides
  extends Partial<Pick<Config, "attestOwnUid" | "kubelet" | "measure" | "reserveForMs">> {
  readonly port?: string | undefined;
  readonly dataDir?: string | undefined;
}

/** A setting can't be used. The message is one line that names it and never holds its value; commands exit with 2. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

const defaultPort = 8460;
const defaultReserveForMs = 15 * 60_000;
const text = z.string().min(1, "is empty; unset it or give it a value");
const path = text.transform((value) => resolve(value));
const port = text
  .refine(
    (value) => !/^[a-z]+:\/\//.test(value),
    "is a Kubernetes service link, not a port: set enableServiceLinks: false for the pod, or COUNTERSIGN_PORT itself",
  )
  .regex(/^[0-9]{1,5}$/, "must be a port from 1 to 65535")
  .transform(Number)
  .refine((value) => value >= 1 && value <= 65_535, "must be a port from 1 to 65535");
const origin = text
  .refine(
    isOrigin,
    "must be an origin such as https://id.example.com, in lower case and without a slash at the end",
  )
  .refine(isSafeOrigin, "must be https; plain http is for loopback only");

const variables = {
  DATABASE_URL: text.refine(
    isPostgresUrl,
    "must be a URL such as postgresql://user:password@host:5432/database",
  ),
  COUNTERSIGN_ISSUER: origin,
  COUNTERSIGN_HOST: text.refine(isHost, "must be an IP address or a host name"),
  COUNTERSIGN_PORT: port,
  COUNTERSIGN_DATA_DIR: path,
  COUNTERSIGN_TRUST_DOMAIN: text.transform((value, context) =>
    orIssue(parseTrustDomain(value), context, "must be a SPIFFE trust domain such as example.org"),
  ),
  COUNTERSIGN_KEK: text.transform((value, context) =>
    orIssue(
      parseKeyEncryptionSecret(value),
      context,
      "must be 32 random bytes in base64 (openssl rand -base64 32)",
    ),
  ),
  COUNTERSIGN_LOG_LEVEL: z.enum(logLevels, `must be one of ${logLevels.join(", ")}`),
  COUNTERSIGN_TLS_CERT: path,
  COUNTERSIGN_TLS_KEY: path,
  COUNTERSIGN_UPSTREAM_CERT: path,
  COUNTERSIGN_UPSTREAM_KEY: path,
  COUNTERSIGN_MTLS_PORT: port,
  COUNTERSIGN_NODE_CA: path,
  COUNTERSIGN_K8S_CLUSTERS: path,
  COUNTERSIGN_BUNDLE_PORT: port,
  COUNTERSIGN_TRUSTED_PROXIES: text
    .transform((value) => value.split(",").map((range) => range.trim()))
    .refine(
      (ranges) => ranges.every(isAddressRange),
      "must be IP addresses or CIDR ranges, with commas between them",
    ),
  COUNTERSIGN_LOOPBACK_CLIENT_CERT: z.enum(["allow"], "must be allow, or unset"),
  COUNTERSIGN_LOOPBACK_ISSUERS: z.enum(["allow"], "must be allow, or unset"),
  COUNTERSIGN_SERVER: origin,
  COUNTERSIGN_OPERATOR_KEY: path,
};

const environmentSchema = z.object(variables).partial();
type Variables = z.infer<typeof environmentSchema>;

/**
 * Reads the settings from the environment and the command line.
 *
 * @throws ConfigError for a bad value, a COUNTERSIGN_* variable that this version doesn't know (service links of
 *   Kubernetes aside), and settings that don't fit together
 */
export function readConfig(
  overrides: ConfigOverrides = {},
  environment: NodeJS.ProcessEnv = process.env,
): Config {
  const values = { ...readVariables(environment), ...readOverrides(overrides) };
  const issuer = values.COUNTERSIGN_ISSUER ?? `http://127.0.0.1:${values.COUNTERSIGN_PORT ?? defaultPort}`;
  return {
    databaseUrl: values.DATABASE_URL,
    issuer,
    host: values.COUNTERSIGN_HOST ?? "127.0.0.1",
    port: values.COUNTERSIGN_PORT ?? portOf(issuer),
    dataDir: values.COUNTERSIGN_DATA_DIR ?? resolve(".countersign"),
    trustDomain: values.COUNTERSIGN_TRUST_DOMAIN ?? trustDomainOf(issuer),
    keyEncryptionSecret: values.COUNTERSIGN_KEK,
    logLevel: values.COUNTERSIGN_LOG_LEVEL ?? "info",
    tls: pairOf(values, "COUNTERSIGN_TLS_CERT", "COUNTERSIGN_TLS_KEY"),
    upstream: pairOf(values, "COUNTERSIGN_UPSTREAM_CERT", "COUNTERSIGN_UPSTREAM_KEY"),
    mtlsPort: portApart(values, "COUNTERSIGN_MTLS_PORT", "COUNTERSIGN_PORT"),
    nodeCaFile: values.COUNTERSIGN_NODE_CA,
    k8sClustersFile: values.COUNTERSIGN_K8S_CLUSTERS,
    bundlePort: portApart(values, "COUNTERSIGN_BUNDLE_PORT", "COUNTERSIGN_PORT", "COUNTERSIGN_MTLS_PORT"),
    trustedProxies: values.COUNTERSIGN_TRUSTED_PROXIES ?? [],
    believesLocalClientCert: values.COUNTERSIGN_LOOPBACK_CLIENT_CERT === "allow",
    allowsLoopbackIssuers: values.COUNTERSIGN_LOOPBACK_ISSUERS === "allow",
    server: values.COUNTERSIGN_SERVER ?? issuer,
    operatorKeyFile: values.COUNTERSIGN_OPERATOR_KEY,
    attestOwnUid: overrides.attestOwnUid ?? false,
    measure: overrides.measure,
    kubelet: overrides.kubelet,
    reserveForMs: overrides.reserveForMs ?? defaultReserveForMs,
    assumed: assumedIn(values),
  };
}

function assumedIn(values: Variables): readonly AssumedSetting[] {
  const given = {
    issuer: values.COUNTERSIGN_ISSUER,
    trustDomain: values.COUNTERSIGN_TRUST_DOMAIN,
    port: values.COUNTERSIGN_PORT ?? values.COUNTERSIGN_ISSUER,
  };
  return (["issuer", "trustDomain", "port"] as const).filter((setting) => given[setting] === undefined);
}

function readVariables(environment: NodeJS.ProcessEnv): Variables {
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith("COUNTERSIGN_") || name in variables) continue;
    if (!isServiceLink(name, value))
      throw new ConfigError(`${name} is not known to this version of Countersign; unset it`);
  }
  const result = environmentSchema.safeParse(environment);
  if (!result.success) throw configError(result.error);
  return result.data;
}

function readOverrides({ port: portText, dataDir }: ConfigOverrides): Variables {
  const result = z.object({ "--port": port, "--data-dir": path }).partial().safeParse({
    "--port": portText,
    "--data-dir": dataDir,
  });
  if (!result.success) throw configError(result.error);
  const { "--port": COUNTERSIGN_PORT, "--data-dir": COUNTERSIGN_DATA_DIR } = result.data;
  return {
    ...(COUNTERSIGN_PORT !== undefined && { COUNTERSIGN_PORT }),
    ...(COUNTERSIGN_DATA_DIR !== undefined && { COUNTERSIGN_DATA_DIR }),
  };
}

function configError(error: z.ZodError): ConfigError {
  const [issue] = error.issues;
  return new ConfigError(
    issue === undefined ? "the settings can't be read" : `${issue.path.join(".")} ${issue.message}`,
  );
}

/** Where the server listens when only the issuer is given: a loopback issuer is served without a proxy before it. */
export function portOf(issuer: string): number {
  const url = new URL(issuer);
  if (url.protocol !== "http:") return defaultPort;
  return url.port === "" ? 80 : Number(url.port);
}

function trustDomainOf(issuer: string): TrustDomain {
  const trustDomain = parseTrustDomain(new URL(issuer).hostname);
  if (trustDomain === undefined) {
    throw new ConfigError(
      "COUNTERSIGN_TRUST_DOMAIN must be set, since the issuer's host can't be a trust domain",
    );
  }
  return trustDomain;
}

/** A certificate and its key, which are set together. */
function pairOf(
  values: Variables,
  cert: "COUNTERSIGN_TLS_CERT" | "COUNTERSIGN_UPSTREAM_CERT",
  key: "COUNTERSIGN_TLS_KEY" | "COUNTERSIGN_UPSTREAM_KEY",
): Config["tls"] {
  const [certFile, keyFile] = [values[cert], values[key]];
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  if (certFile !== undefined) throw new ConfigError(`${key} must be set together with ${cert}`);
  if (keyFile !== undefined) throw new ConfigError(`${cert} must be set together with ${key}`);
  return undefined;
}

type PortName = `COUNTERSIGN_${"BUNDLE_" | "MTLS_" | ""}PORT`;

function portApart(values: Variables, name: PortName, ...others: readonly PortName[]): number | undefined {
  const taken = { COUNTERSIGN_PORT: defaultPort, ...values };
  const same = others.find((other) => values[name] !== undefined && taken[other] === values[name]);
  if (same !== undefined) throw new ConfigError(`${name} must be another port than ${same}`);
  return values[name];
}

function isOrigin(value: string): boolean {
  return URL.canParse(value) && /^https?:/.test(value) && new URL(value).origin === value;
}

function isSafeOrigin(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname } = new URL(value);
  return protocol === "https:" || isLoopback(hostname);
}

function isPostgresUrl(value: string): boolean {
  return URL.canParse(value) && /^postgres(ql)?:$/.test(new URL(value).protocol);
}

function isHost(value: string): boolean {
  return isIP(value) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(value);
}

function isAddressRange(value: string): boolean {
  const [address = "", bits, ...more] = value.split("/");
  const version = isIP(address);
  if (version === 0 || more.length > 0) return false;
  return bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

function orIssue<Value>(value: Value | undefined, context: z.RefinementCtx, message: string): Value {
  if (value !== undefined) return value;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

/** The environment for another server started from here: none of this one's settings, then those given. */
export function childEnvironment(
  settings: Readonly<Record<string, string>>,
  environment: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const foreign = Object.entries(environment).filter(([name]) => !(name in variables));
  return { ...Object.fromEntries(foreign), ...settings };
}

/** The version of this product, as its package names it. */
export function productVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return z.looseObject({ version: z.string() }).parse(JSON.parse(text)).version;
}
