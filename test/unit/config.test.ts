import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigError, type ConfigOverrides, readConfig } from "../../src/config.ts";

function refusalOf(environment: Record<string, string>, overrides: ConfigOverrides = {}): string {
  try {
    readConfig(overrides, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "accepted";
}

test("needs no setting at all", () => {
  expect(readConfig({}, { PATH: "/bin" })).toEqual({
    databaseUrl: undefined,
    issuer: "http://127.0.0.1:8460",
    host: "127.0.0.1",
    port: 8460,
    dataDir: resolve(".countersign"),
    trustDomain: "127.0.0.1",
    keyEncryptionSecret: undefined,
    logLevel: "info",
    tls: undefined,
    upstream: undefined,
    mtlsPort: undefined,
    attestOwnUid: false,
    reserveForMs: 900_000,
    measure: undefined,
    trustedProxies: [],
    believesLocalClientCert: false,
    server: "http://127.0.0.1:8460",
    operatorKeyFile: undefined,
    allowsLoopbackIssuers: false,
    assumed: ["issuer", "trustDomain", "port"],
  });
});

test("takes every setting", () => {
  const kek = Buffer.alloc(32, 7).toString("base64");
  const environment = {
    DATABASE_URL: "postgresql://u:p@db.example.com/cs?sslmode=verify-full",
    COUNTERSIGN_ISSUER: "https://id.example.com",
    COUNTERSIGN_HOST: "0.0.0.0",
    COUNTERSIGN_PORT: "443",
    COUNTERSIGN_DATA_DIR: "/var/lib/countersign",
    COUNTERSIGN_TRUST_DOMAIN: "example.com",
    COUNTERSIGN_KEK: kek,
    COUNTERSIGN_LOG_LEVEL: "debug",
    COUNTERSIGN_TLS_CERT: "/etc/cert.pem",
    COUNTERSIGN_TLS_KEY: "/etc/key.pem",
    COUNTERSIGN_UPSTREAM_CERT: "/etc/ca.pem",
    COUNTERSIGN_UPSTREAM_KEY: "/etc/ca-key.pem",
    COUNTERSIGN_TRUSTED_PROXIES: "10.0.0.0/8, ::1",
    COUNTERSIGN_SERVER: "https://other.example.com",
    COUNTERSIGN_OPERATOR_KEY: "/home/me/key.json",
    COUNTERSIGN_LOOPBACK_ISSUERS: "allow",
    COUNTERSIGN_LOOPBACK_CLIENT_CERT: "allow",
  };
  expect(readConfig({}, environment)).toEqual({
    databaseUrl: environment.DATABASE_URL,
    issuer: "https://id.example.com",
    host: "0.0.0.0",
    port: 443,
    dataDir: "/var/lib/countersign",
    trustDomain: "example.com",
    keyEncryptionSecret: Buffer.alloc(32, 7),
    logLevel: "debug",
    tls: { certFile: "/etc/cert.pem", keyFile: "/etc/key.pem" },
    upstream: { certFile: "/etc/ca.pem", keyFile: "/etc/ca-key.pem" },
    mtlsPort: undefined,
    attestOwnUid: false,
    reserveForMs: 900_000,
    measure: undefined,
    trustedProxies: ["10.0.0.0/8", "::1"],
    believesLocalClientCert: true,
    server: "https://other.example.com",
    operatorKeyFile: "/home/me/key.json",
    allowsLoopbackIssuers: true,
    assumed: [],
  });
});

test("puts the command line before the environment, and lets the issuer follow the port", () => {
  const config = readConfig(
    { port: "9000", dataDir: "d" },
    { COUNTERSIGN_PORT: "9001", COUNTERSIGN_DATA_DIR: "/e" },
  );
  expect(config).toMatchObject({ port: 9000, issuer: "http://127.0.0.1:9000", dataDir: resolve("d") });
});

test("listens where a plain issuer says, and on the default port behind an https one", () => {
  expect(readConfig({}, { COUNTERSIGN_ISSUER: "http://localhost:9002" }).port).toBe(9002);
  expect(readConfig({}, { COUNTERSIGN_ISSUER: "https://id.example.com" })).toMatchObject({
    port: 8460,
    trustDomain: "id.example.com",
  });
});

test.each([
  ["COUNTERSIGN_PORT", "0"],
  ["COUNTERSIGN_PORT", "65536"],
  ["COUNTERSIGN_PORT", "0x50"],
  ["COUNTERSIGN_PORT", ""],
  ["COUNTERSIGN_ISSUER", "countersign.test"],
  ["COUNTERSIGN_ISSUER", "https://id.example.com/"],
  ["COUNTERSIGN_ISSUER", "https://id.example.com/path"],
  ["COUNTERSIGN_ISSUER", "https://ID.example.com"],
  ["COUNTERSIGN_ISSUER", "https://user:pw@id.example.com"],
  ["COUNTERSIGN_ISSUER", "http://id.example.com"],
  ["COUNTERSIGN_ISSUER", "http://127.0.0.1.example.com"],
  ["COUNTERSIGN_ISSUER", "file:///etc"],
  ["COUNTERSIGN_SERVER", "http://192.168.0.1:8460"],
  ["COUNTERSIGN_HOST", "a b"],
  ["COUNTERSIGN_DATA_DIR", ""],
  ["COUNTERSIGN_TRUST_DOMAIN", "Example.org"],
  ["COUNTERSIGN_KEK", "c2hvcnQ="],
  ["COUNTERSIGN_KEK", ""],
  ["COUNTERSIGN_LOG_LEVEL", "loud"],
  ["COUNTERSIGN_TLS_CERT", ""],
  ["COUNTERSIGN_TRUSTED_PROXIES", "10.0.0.0/33"],
  ["COUNTERSIGN_TRUSTED_PROXIES", "proxy.example.com"],
  ["DATABASE_URL", "mysql://localhost/db"],
  ["DATABASE_URL", ""],
])("refuses a bad %s (%j) in one line that names it and does not repeat it", (name, value) => {
  const refusal = refusalOf({ [name]: value });
  expect(refusal).toMatch(new RegExp(`^${name} [^\\n]+$`));
  if (value !== "" && value.length > 5) expect(refusal).not.toContain(value);
});

test("refuses a bad option by the option's name", () => {
  expect(refusalOf({}, { port: "http" })).toBe("--port must be a port from 1 to 65535");
  expect(refusalOf({}, { dataDir: "" })).toMatch(/^--data-dir is empty/);
});

test("refuses half of a TLS pair, and an issuer that needs a trust domain of its own", () => {
  expect(refusalOf({ COUNTERSIGN_TLS_CERT: "/c" })).toMatch(/^COUNTERSIGN_TLS_KEY must be set/);
  expect(refusalOf({ COUNTERSIGN_TLS_KEY: "/k" })).toMatch(/^COUNTERSIGN_TLS_CERT must be set/);
  expect(refusalOf({ COUNTERSIGN_ISSUER: "http://[::1]:8460" })).toMatch(
    /^COUNTERSIGN_TRUST_DOMAIN must be set/,
  );
});

test("refuses a variable that this version would ignore", () => {
  expect(refusalOf({ COUNTERSIGN_PROT: "8461" })).toBe(
    "COUNTERSIGN_PROT is not known to this version of Countersign; unset it",
  );
});

test("a port for the bundle needs nothing, and is another than the server's", () => {
  expect(readConfig({}, { COUNTERSIGN_BUNDLE_PORT: "8443" }).bundlePort).toBe(8443);
  expect(refusalOf({ COUNTERSIGN_BUNDLE_PORT: "8460" })).toBe(
    "COUNTERSIGN_BUNDLE_PORT must be another port than COUNTERSIGN_PORT",
  );
  const tls = { COUNTERSIGN_TLS_CERT: "/c.pem", COUNTERSIGN_TLS_KEY: "/k.pem" };
  expect(refusalOf({ ...tls, COUNTERSIGN_MTLS_PORT: "8461", COUNTERSIGN_BUNDLE_PORT: "8461" })).toBe(
    "COUNTERSIGN_BUNDLE_PORT must be another port than COUNTERSIGN_MTLS_PORT",
  );
});

test("a port that asks for certificates is another than the server's, with or without TLS there", () => {
  const tls = { COUNTERSIGN_TLS_CERT: "/c.pem", COUNTERSIGN_TLS_KEY: "/k.pem" };
  expect(readConfig({}, { COUNTERSIGN_MTLS_PORT: "8461" }).mtlsPort).toBe(8461);
  expect(refusalOf({ ...tls, COUNTERSIGN_MTLS_PORT: "8460" })).toBe(
    "COUNTERSIGN_MTLS_PORT must be another port than COUNTERSIGN_PORT",
  );
  expect(readConfig({}, { ...tls, COUNTERSIGN_MTLS_PORT: "8461" }).mtlsPort).toBe(8461);
});

describe("beside a Kubernetes Service of its own name", () => {
  const links = (service: string) => ({
    [`${service}_SERVICE_HOST`]: "10.0.0.7",
    [`${service}_SERVICE_PORT`]: "8460",
    [`${service}_SERVICE_PORT_HTTPS`]: "8460",
    [`${service}_PORT_8460_TCP`]: "tcp://10.0.0.7:8460",
    [`${service}_PORT_8460_TCP_PROTO`]: "tcp",
    [`${service}_PORT_8460_TCP_PORT`]: "8460",
    [`${service}_PORT_8460_TCP_ADDR`]: "10.0.0.7",
  });

  test("starts with what Kubernetes put into its environment", () => {
    const environment = {
      ...links("COUNTERSIGN"),
      ...links("COUNTERSIGN_POSTGRES"),
      COUNTERSIGN_POSTGRES_PORT: "tcp://10.0.0.8:5432",
      COUNTERSIGN_PORT: "8461",
    };
    expect(readConfig({}, environment)).toMatchObject({ port: 8461 });
  });

  test("refuses the port that Kubernetes put there, and says how to be rid of it", () => {
    expect(refusalOf({ ...links("COUNTERSIGN"), COUNTERSIGN_PORT: "tcp://10.0.0.7:8460" })).toMatch(
      /^COUNTERSIGN_PORT is a Kubernetes service link, not a port: set enableServiceLinks: false [^\n]+$/,
    );
  });
});
