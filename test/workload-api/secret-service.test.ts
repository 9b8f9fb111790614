import { createPrivateKey, X509Certificate } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Node } from "../../src/workload-api/generated/envoy/core.ts";
import type {
  DiscoveryRequest,
  DiscoveryResponse,
} from "../../src/workload-api/generated/envoy/discovery.ts";
import type { SecretDiscoveryServiceClient } from "../../src/workload-api/generated/envoy/secret.ts";
import { Secret, SPIFFECertValidatorConfig } from "../../src/workload-api/generated/envoy/tls.ts";
import { bundleOf, makeAuthority } from "../svid/pki.ts";
import { ask, openTestSocket, read, secretClient, self, statusOf, type TestSocket } from "./socket.ts";

const id = "spiffe://example.org/org/acme/agent/one";
const typeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

let socket: TestSocket;
let client: SecretDiscoveryServiceClient;
beforeEach(async () => {
  socket = await openTestSocket();
  socket.source.entries = [{ selector: self, spiffeId: id }];
  client = secretClient(socket.path);
});
afterEach(async () => {
  client.close();
  await socket.close();
});

function envoy(minorNumber: number, majorNumber = 1): Node {
  const version = { majorNumber, minorNumber, patch: 0 };
  return { userAgentName: "envoy", userAgentBuildVersion: { version } };
}

function request(resourceNames: string[], more: Partial<DiscoveryRequest> = {}): DiscoveryRequest {
  return {
    ...{
      versionInfo: "",
      node: envoy(34),
      resourceNames,
      typeUrl,
      responseNonce: "",
      errorDetail: undefined,
    },
    ...more,
  };
}

const fetched = (resourceNames: string[], more: Partial<DiscoveryRequest> = {}) =>
  ask<DiscoveryResponse>((respond) => client.fetchSecrets(request(resourceNames, more), respond));

function secretsIn(response: DiscoveryResponse): Secret[] {
  expect(response.resources.map((resource) => resource.typeUrl)).toEqual(
    response.resources.map(() => typeUrl),
  );
  return response.resources.map(({ value }) => Secret.decode(value));
}

/** What a bundle by name validates by: trust domain → number of certificates. */
function validatorOf(secret: Secret | undefined): Record<string, number> {
  const { customValidatorConfig } = secret?.validationContext ?? {};
  expect(customValidatorConfig?.name).toBe("envoy.tls.cert_validator.spiffe");
  expect(customValidatorConfig?.typedConfig?.typeUrl).toMatch(/\.v3\.SPIFFECertValidatorConfig$/);
  const value = customValidatorConfig?.typedConfig?.value ?? Buffer.alloc(0);
  const { trustDomains } = SPIFFECertValidatorConfig.decode(value);
  return Object.fromEntries(
    trustDomains.map(({ name, trustBundle }) => [name, certificatesIn(trustBundle?.inlineBytes)]),
  );
}

const certificatesIn = (pem: Buffer = Buffer.alloc(0)) =>
  String(pem).split("-----BEGIN CERTIFICATE-----").length - 1;

function stream() {
  const call = client.streamSecrets();
  return { call, reading: read<DiscoveryResponse>(call) };
}

describe("secrets by name", () => {
  it("[WLA-009] are the default identity, or one by its SPIFFE ID, with its key, without the security header", async () => {
    for (const name of ["default", id]) {
      const [secret, ...more] = secretsIn(await fetched([name]));
      const chain = secret?.tlsCertificate?.certificateChain?.inlineBytes ?? Buffer.alloc(0);
      const key = String(secret?.tlsCertificate?.privateKey?.inlineBytes);
      const certificate = new X509Certificate(chain);
      expect([secret?.name, more.length, certificate.subjectAltName]).toEqual([name, 0, `URI:${id}`]);
      expect(certificate.checkPrivateKey(createPrivateKey(key))).toBe(true);
    }
  });

  it("[WLA-009] are bundles: our own, all, or that of a trust domain, each ID by its own authorities", async () => {
    const foreign = makeAuthority("other.example");
    socket.source.federated = [bundleOf("other.example", [foreign, foreign])];
    const names = ["ROOTCA", "ALL", "spiffe://example.org", "spiffe://other.example"];
    const secrets = secretsIn(await fetched(names));
    expect(secrets.map(({ name }) => name)).toEqual(names);
    expect(secrets.map(validatorOf)).toEqual([
      { "example.org": 1 },
      { "example.org": 1, "other.example": 2 },
      { "example.org": 1 },
      { "other.example": 2 },
    ]);
  });

  it("[WLA-009] are the bundles that are there once the SVID is issued", async () => {
    socket.source.pause = async () => {
      await new Promise(setImmediate);
      socket.source.federated = [bundleOf("other.example", [makeAuthority("other.example")])];
    };
    const [secret] = secretsIn(await fetched(["ALL"]));
    expect(validatorOf(secret)).toEqual({ "example.org": 1, "other.example": 1 });
  });

  it("[WLA-009] are plain authorities for an Envoy without the validator, and never several trust domains in one heap", async () => {
    socket.source.federated = [bundleOf("other.example", [makeAuthority("other.example")])];
    for (const node of [undefined, envoy(17), envoy(99, 0)]) {
      const [secret] = secretsIn(await fetched(["ROOTCA"], { node }));
      expect(secret?.validationContext?.customValidatorConfig).toBeUndefined();
      expect(certificatesIn(secret?.validationContext?.trustedCa?.inlineBytes)).toBe(1);
      expect(await statusOf(fetched(["ALL"], { node }))).toBe("INVALID_ARGUMENT");
    }
    for (const node of [envoy(18), envoy(0, 2)]) {
      expect(validatorOf(secretsIn(await fetched(["ROOTCA"], { node }))[0])).toEqual({ "example.org": 1 });
    }
  });

  it("[WLA-009] are all of them when none is named", async () => {
    const names = secretsIn(await fetched([])).map(({ name }) => name);
    expect(names).toEqual(["spiffe://example.org", id]);
  });

  it.each([
    ["INVALID_ARGUMENT", "a name that is not for this workload", ["spiffe://example.org/another"], {}],
    ["INVALID_ARGUMENT", "another type", ["default"], { typeUrl: "type.googleapis.com/other" }],
    ["INVALID_ARGUMENT", "too many names", Array.from({ length: 257 }, (_, place) => `n${place}`), {}],
    ["INVALID_ARGUMENT", "a name that is too long", ["n".repeat(2_049)], {}],
  ])("[WLA-003] are refused with %s for %s", async (status, _, names, more) => {
    expect(await statusOf(fetched(names, more))).toBe(status);
    const { call, reading } = stream();
    call.write(request(names, more));
    expect(await reading.end()).toBe(status);
  });

  it("[WLA-004] are denied to who has no identity, at once and when it goes", async () => {
    const { call, reading } = stream();
    call.write(request(["default"]));
    await reading.next();
    socket.source.entries = [];
    socket.source.tell();
    expect(await reading.end()).toBe("PERMISSION_DENIED");
    expect(await statusOf(fetched(["ROOTCA"]))).toBe("PERMISSION_DENIED");
  });

  it("[WLA-005] by increments is UNIMPLEMENTED", async () => {
    const whole = (value: Buffer) => value;
    const call = client.makeBidiStreamRequest(
      "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets",
      whole,
      whole,
    );
    expect(await read<Buffer>(call).end()).toBe("UNIMPLEMENTED");
  });
});

describe("a stream of secrets", () => {
  it("[WLA-009] says nothing until it is asked, then again whenever the secret is another one, in another version", async () => {
    const { call, reading } = stream();
    socket.source.tell();
    call.write(request(["default"]));
    const first = await reading.next();
    call.write(request(["default"], { versionInfo: first.versionInfo, responseNonce: first.nonce }));
    socket.source.tell();
    socket.source.rotate();
    socket.source.tell();
    const second = await reading.next();
    expect(second.versionInfo).not.toBe(first.versionInfo);
    expect(second.nonce).not.toBe(first.nonce);
    expect(second.resources[0]?.value).not.toEqual(first.resources[0]?.value);
    expect(reading.waiting()).toBe(0);
    call.end();
    expect(await reading.end()).toBe("OK");
    await expect.poll(() => socket.source.listeners.size).toBe(0);
  });

  it("[WLA-009] sends nothing again that was rejected, says so in the log, and goes on with the next version", async () => {
    const { call, reading } = stream();
    call.write(request(["default"]));
    const first = await reading.next();
    const errorDetail = { code: 3, message: `no good\n${"x".repeat(10_000)}` };
    call.write(request(["default"], { responseNonce: first.nonce, errorDetail }));
    await expect.poll(() => socket.logged.some((line) => line.includes("a proxy rejected"))).toBe(true);
    expect(socket.logged.find((line) => line.includes("a proxy rejected"))?.length).toBeLessThan(600);
    socket.source.rotate();
    socket.source.tell();
    expect((await reading.next()).versionInfo).not.toBe(first.versionInfo);
    expect(reading.waiting()).toBe(0);
  });

  it("[WLA-009] follows what is asked for, remembers who asks, and overhears what answers an older message", async () => {
    const { call, reading } = stream();
    call.write(request(["default"]));
    const first = await reading.next();
    call.write(request(["ALL"], { responseNonce: "another", node: undefined }));
    call.write(request(["ROOTCA"], { responseNonce: first.nonce, node: undefined }));
    const second = await reading.next();
    expect(validatorOf(secretsIn(second)[0])).toEqual({ "example.org": 1 });
    expect(secretsIn(second).map(({ name }) => name)).toEqual(["ROOTCA"]);
  });
});
