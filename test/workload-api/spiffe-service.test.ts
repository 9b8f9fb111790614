import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { verifyJwtSvid } from "@countersign/sdk/verify/jwt-svid";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import { Metadata } from "@grpc/grpc-js";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DomainError } from "../../src/domain/domain-error.ts";
import type { WorkloadPeer } from "../../src/domain/svid-source.ts";
import type {
  JWTSVIDResponse,
  SpiffeWorkloadAPIClient,
  ValidateJWTSVIDResponse,
} from "../../src/workload-api/generated/workload.ts";
import { bundleOf, makeAuthority } from "../svid/pki.ts";
import { createMemorySource, newJwtKey } from "./memory-source.ts";
import {
  ask,
  openTestSocket,
  read,
  security,
  self,
  statusOf,
  type TestSocket,
  workloadClient,
} from "./socket.ts";

const id = "spiffe://example.org/org/acme/agent/one";
const otherId = "spiffe://example.org/org/acme/agent/two";
const audience = ["https://resource.example"];

let socket: TestSocket;
let client: SpiffeWorkloadAPIClient;
beforeEach(async () => {
  socket = await openTestSocket({}, (error) => error instanceof Error && error.message === "no database");
  socket.source.entries = [{ selector: self, spiffeId: id, hint: "internal" }];
  client = workloadClient(socket.path);
});
afterEach(async () => {
  client.close();
  await socket.close();
});

const x509Svids = (metadata = security) => read(client.fetchX509Svid({}, metadata));
const x509Bundles = (metadata = security) => read(client.fetchX509Bundles({}, metadata));
const jwtBundles = (metadata = security) => read(client.fetchJwtBundles({}, metadata));
const jwtSvids = (request: { audience?: string[]; spiffeId?: string } = {}, metadata = security) =>
  ask<JWTSVIDResponse>((respond) =>
    client.fetchJwtsvid({ audience, spiffeId: "", ...request }, metadata, respond),
  );
const validate = (svid: string, expected = "https://resource.example", metadata = security) =>
  ask<ValidateJWTSVIDResponse>((respond) =>
    client.validateJwtsvid({ audience: expected, svid }, metadata, respond),
  );

/** Each method of the socket, as the status that it ends or begins with. */
const methods = {
  fetchX509Svid: (metadata?: Metadata) => x509Svids(metadata).next(),
  fetchX509Bundles: (metadata?: Metadata) => x509Bundles(metadata).next(),
  fetchJwtBundles: (metadata?: Metadata) => jwtBundles(metadata).next(),
  fetchJwtsvid: (metadata?: Metadata) => jwtSvids({}, metadata),
  validateJwtsvid: async (metadata?: Metadata) =>
    validate(
      await socket.source.signJwt({ sub: id, aud: audience, exp: Math.floor(Date.now() / 1000) + 60 }),
      audience[0],
      metadata,
    ),
};
const streams = { fetchX509Svid: x509Svids, fetchX509Bundles: x509Bundles, fetchJwtBundles: jwtBundles };

async function outcomes(metadata?: Metadata): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  for (const [name, call] of Object.entries(methods)) {
    answers[name] = await statusOf(call(metadata)).catch(() => "?");
  }
  return answers;
}

const allOf = (status: string) => Object.fromEntries(Object.keys(methods).map((name) => [name, status]));

describe("X.509-SVIDs", () => {
  it("[WLA-001] come at once, with key and bundle, and hold before a strict verifier", async () => {
    const { svids, federatedBundles, crl } = await x509Svids().next();
    const [svid] = svids;
    expect([svids.length, federatedBundles, crl]).toEqual([1, {}, []]);
    expect([svid?.spiffeId, svid?.hint]).toEqual([id, "internal"]);
    const certificate = svid?.x509Svid ?? Buffer.alloc(0);
    const bundle = bundleOf("example.org", []);
    const trusted = { ...bundle, x509Authorities: [svid?.bundle ?? Buffer.alloc(0)] };
    const deps = { bundleOf: () => trusted, now: Date.now };
    expect((await verifyX509Svid(deps, [certificate])).spiffeId).toBe(id);
    const key = createPrivateKey({ key: svid?.x509SvidKey ?? Buffer.alloc(0), format: "der", type: "pkcs8" });
    expect(new X509Certificate(certificate).publicKey.equals(createPublicKey(key))).toBe(true);
  });

  it("[WLA-001] come once for each identity, in the source's order, and no hint stands twice", async () => {
    socket.source.entries = [
      { selector: self, spiffeId: id, hint: "internal" },
      { selector: self, spiffeId: otherId, hint: "internal" },
      { selector: self, spiffeId: `${id}/three` },
      { selector: "unix:uid:4294967294", spiffeId: `${id}/not-ours` },
    ];
    const { svids } = await x509Svids().next();
    expect(svids.map(({ spiffeId, hint }) => [spiffeId, hint])).toEqual([
      [id, "internal"],
      [otherId, ""],
      [`${id}/three`, ""],
    ]);
  });

  it("[WLA-001] are pushed with everything when one is renewed, an entry or a bundle comes, and not otherwise", async () => {
    const reading = x509Svids();
    const first = await reading.next();
    socket.source.tell();
    socket.source.rotate();
    socket.source.tell();
    const renewed = await reading.next();
    expect(renewed.svids[0]?.x509Svid.equals(first.svids[0]?.x509Svid ?? Buffer.alloc(0))).toBe(false);
    expect(renewed.svids[0]?.bundle).toEqual(first.svids[0]?.bundle);

    socket.source.entries = [...socket.source.entries, { selector: self, spiffeId: otherId }];
    socket.source.tell();
    const both = await reading.next();
    expect(both.svids.map(({ spiffeId }) => spiffeId)).toEqual([id, otherId]);
    expect(both.svids[0]).toEqual(renewed.svids[0]);

    const foreign = makeAuthority("other.example");
    socket.source.federated = [bundleOf("other.example", [foreign])];
    socket.source.tell();
    const { federatedBundles } = await reading.next();
    expect(federatedBundles).toEqual({ "spiffe://other.example": Buffer.from(foreign.certificate) });

    socket.source.entries = [{ selector: self, spiffeId: otherId }];
    socket.source.federated = [];
    socket.source.tell();
    const last = await reading.next();
    expect([last.svids.length, last.federatedBundles, reading.waiting()]).toEqual([1, {}, 0]);
  });

  it("[WLA-001] come with the bundles that are there once they are issued", async () => {
    const foreign = makeAuthority("other.example");
    socket.source.pause = async () => {
      await new Promise(setImmediate);
      socket.source.federated = [bundleOf("other.example", [foreign])];
    };
    const { federatedBundles } = await x509Svids().next();
    expect(federatedBundles).toEqual({ "spiffe://other.example": Buffer.from(foreign.certificate) });
  });

  it("[WLA-001] that changed several times while one was made are pushed once, as they are then", async () => {
    const reading = x509Svids();
    await reading.next();
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.source.pause = () => promise;
    socket.source.rotate();
    socket.source.tell();
    await new Promise(setImmediate);
    for (const name of ["two", "three", "four"]) {
      socket.source.entries = [...socket.source.entries, { selector: self, spiffeId: `${id}/${name}` }];
      socket.source.tell();
    }
    resolve();
    expect((await reading.next()).svids.length).toBe(1);
    expect((await reading.next()).svids.length).toBe(4);
    socket.source.entries = [];
    socket.source.tell();
    expect(await reading.end()).toBe("PERMISSION_DENIED");
  });
});

describe("bundles", () => {
  it("[WLA-001] are those of each trust domain, by its SPIFFE ID, for their own kind of SVID alone", async () => {
    const foreign = makeAuthority("other.example");
    const foreignKey = await newJwtKey();
    socket.source.federated = [bundleOf("other.example", [foreign, foreign], [foreignKey.authority])];
    const x509 = (await x509Bundles().next()).bundles;
    expect(Object.keys(x509)).toEqual(["spiffe://example.org", "spiffe://other.example"]);
    expect(x509["spiffe://other.example"]).toEqual(Buffer.concat([foreign.certificate, foreign.certificate]));

    const jwt = (await jwtBundles().next()).bundles;
    expect(Object.keys(jwt)).toEqual(["spiffe://example.org", "spiffe://other.example"]);
    const keys = JSON.parse(String(jwt["spiffe://example.org"]));
    const token = await socket.source.signJwt({ sub: id, aud: audience });
    await jwtVerify(token, createLocalJWKSet(keys));
    expect(JSON.parse(String(jwt["spiffe://other.example"]))).toEqual({ keys: [foreignKey.authority] });
  });

  it("[WLA-001] are pushed to each stream that they concern, and only when they change", async () => {
    const [x509, jwt] = [x509Bundles(), jwtBundles()];
    await Promise.all([x509.next(), jwt.next()]);
    socket.source.federated = [bundleOf("other.example", [], [(await newJwtKey()).authority])];
    socket.source.tell();
    const { bundles } = await jwt.next();
    expect(Object.keys(bundles).length).toBe(2);
    socket.source.tell();
    socket.source.federated = [bundleOf("other.example", [makeAuthority("other.example")])];
    socket.source.tell();
    const names = [];
    for (let name = ""; name !== "2"; names.push(name)) {
      name = String(Object.values((await x509.next()).bundles).filter(({ length }) => length > 0).length);
    }
    expect([x509.waiting(), jwt.waiting() <= 1]).toEqual([0, true]);
  });
});

describe("JWT-SVIDs", () => {
  it("[WLA-001] name the audience that was asked for, for each identity or the one asked for", async () => {
    socket.source.entries = [
      { selector: self, spiffeId: id, hint: "one" },
      { selector: self, spiffeId: otherId, hint: "one" },
    ];
    const { svids } = await jwtSvids();
    expect(svids.map(({ spiffeId, hint }) => [spiffeId, hint])).toEqual([
      [id, "one"],
      [otherId, ""],
    ]);
    const [bundle] = await socket.source.bundles([self as never]);
    const deps = { bundleOf: () => bundle, now: Date.now };
    const verified = await verifyJwtSvid(deps, svids[0]?.svid ?? "", { audience: audience[0] ?? "" });
    expect([verified.spiffeId, verified.audience]).toEqual([id, audience]);
    const only = await jwtSvids({ spiffeId: otherId });
    expect(only.svids.map(({ spiffeId }) => spiffeId)).toEqual([otherId]);
  });

  it.each([
    ["no audience", { audience: [] }],
    ["an empty audience", { audience: ["a", ""] }],
    ["a control character in an audience", { audience: ["a\u0000b"] }],
    ["65 audiences", { audience: Array.from({ length: 65 }, (_, place) => `a${place}`) }],
    ["audiences of more than 8 KiB", { audience: ["a".repeat(4_097), "b".repeat(4_096)] }],
    ["a SPIFFE ID in upper case", { spiffeId: "spiffe://EXAMPLE.org/a" }],
    ["a SPIFFE ID of another scheme", { spiffeId: "https://example.org/a" }],
    ["a SPIFFE ID with a dot segment", { spiffeId: `${id}/../two` }],
    ["a SPIFFE ID with a query", { spiffeId: `${id}?a=b` }],
    ["a SPIFFE ID that is too long", { spiffeId: `${id}/${"a".repeat(2_048)}` }],
  ])("[WLA-003] are refused for %s before anything is attested", async (_, request) => {
    expect(await statusOf(jwtSvids(request))).toBe("INVALID_ARGUMENT");
    expect([socket.source.attested.length, socket.source.issued()]).toEqual([0, 0]);
  });

  it("[WLA-003] are refused for a message of more than 64 KiB", async () => {
    expect(await statusOf(jwtSvids({ audience: ["a".repeat(70_000)] }))).toBe("RESOURCE_EXHAUSTED");
    expect(socket.source.issued()).toBe(0);
  });

  it("[WLA-004] are denied for an identity that is another's, as for one that nobody has", async () => {
    socket.source.entries = [
      { selector: self, spiffeId: id },
      { selector: "unix:uid:4294967294", spiffeId: otherId },
    ];
    for (const spiffeId of [otherId, `${id}/nobody`, "spiffe://other.example/a", "spiffe://example.org"]) {
      expect(await statusOf(jwtSvids({ spiffeId }))).toBe("PERMISSION_DENIED");
    }
    expect(socket.source.issued()).toBe(0);
  });
});

describe("what attestation looks for", () => {
  it("[ENT-061] grows with the entries: open streams are attested anew, and nobody else than once", async () => {
    const reading = x509Svids();
    await reading.next();
    socket.source.rotate();
    socket.source.tell();
    await reading.next();
    expect(socket.source.attested).toHaveLength(1);
    socket.source.kinds.add("unix:path");
    socket.source.rotate();
    socket.source.tell();
    await reading.next();
    expect(socket.source.attested).toHaveLength(2);
  });

  it("[ENT-061] may grow while an answer is looked for, which is looked for again", async () => {
    const { bundles } = socket.source;
    let asked = 0;
    Object.assign(socket.source, {
      bundles: async (...about: Parameters<typeof bundles>) => {
        if (asked++ > 0) return bundles(...about);
        socket.source.kinds.add("unix:sha256");
        return [];
      },
    });
    expect(Object.keys((await x509Bundles().next()).bundles)).toHaveLength(1);
    expect([asked, socket.source.attested.length]).toEqual([2, 2]);
  });
});

describe("a workload whose configuration was measured", () => {
  it("[CHK-008] is measured anew for each answer: with another one its open stream gets nothing new", async () => {
    const attest = socket.source.attest;
    let measured = "a";
    Object.assign(socket.source, {
      attest: async (peer: WorkloadPeer) => [
        ...(await attest(peer)),
        `agent_checksum:${measured.repeat(64)}`,
      ],
    });
    socket.source.entries = [{ selector: `agent_checksum:${"a".repeat(64)}`, spiffeId: id }];
    const reading = x509Svids();
    expect((await reading.next()).svids[0]?.spiffeId).toBe(id);
    socket.source.rotate();
    socket.source.tell();
    expect((await reading.next()).svids[0]?.spiffeId).toBe(id);

    measured = "b";
    const issued = socket.source.issued();
    socket.source.rotate();
    socket.source.tell();
    expect(await statusOf(reading.next())).toBe("PERMISSION_DENIED");
    expect(socket.source.issued()).toBe(issued);
  });
});

describe("validation of a JWT-SVID", () => {
  const soon = () => Math.floor(Date.now() / 1000) + 60;

  it("[WLA-008] tells who it is of, and all that was signed", async () => {
    const claims = {
      sub: id,
      aud: [...audience, "other"],
      exp: soon(),
      deep: { list: [1, "two", null, true] },
    };
    const answer = await validate(await socket.source.signJwt(claims));
    expect(answer).toEqual({ spiffeId: id, claims });
  });

  it("[WLA-008] goes by the bundles of this caller: a foreign one counts when the caller federates with it", async () => {
    const foreign = await createMemorySource("other.example");
    const token = await foreign.signJwt({ sub: "spiffe://other.example/a", aud: audience, exp: soon() });
    expect(await statusOf(validate(token))).toBe("INVALID_ARGUMENT");
    foreign.entries = [{ selector: self, spiffeId: "spiffe://other.example/a" }];
    socket.source.federated = await foreign.bundles([self as never]);
    expect((await validate(token)).spiffeId).toBe("spiffe://other.example/a");
    const forged = await foreign.signJwt({ sub: id, aud: audience, exp: soon() });
    expect(await statusOf(validate(forged))).toBe("INVALID_ARGUMENT");
  });

  it("[WLA-008] refuses what is expired, for another, of another type, malformed, missing or too long", async () => {
    const sign = socket.source.signJwt;
    const refused = [
      await sign({ sub: id, aud: audience, exp: soon() - 600 }),
      await sign({ sub: id, aud: ["other"], exp: soon() }),
      await sign({ sub: id, aud: audience, exp: soon() }, { typ: "at+jwt" }),
      await sign({ sub: "spiffe://example.org", aud: audience, exp: soon() }),
      await sign({ sub: id, aud: audience }),
      "not a token",
      "",
      "a".repeat(20_000),
    ];
    for (const token of refused) expect(await statusOf(validate(token))).toBe("INVALID_ARGUMENT");
    const good = await sign({ sub: id, aud: audience, exp: soon() });
    for (const expected of ["", "a\nb", "a".repeat(9_000)]) {
      expect(await statusOf(validate(good, expected))).toBe("INVALID_ARGUMENT");
    }
    expect(socket.logged.join("")).not.toContain("eyJ");
  });
});

describe("every method", () => {
  it("[WLA-003] is refused without the security header, or with another value, and nothing is asked of the source", async () => {
    const wrong = ["TRUE", "", "1"].map((value) => {
      const metadata = new Metadata();
      metadata.set("workload.spiffe.io", value);
      return metadata;
    });
    const twice = new Metadata();
    twice.add("workload.spiffe.io", "true");
    twice.add("workload.spiffe.io", "false");
    for (const metadata of [new Metadata(), twice, ...wrong]) {
      expect(await outcomes(metadata)).toEqual(allOf("INVALID_ARGUMENT"));
    }
    expect([socket.source.attested.length, socket.source.issued(), socket.source.listeners.size]).toEqual([
      0, 0, 0,
    ]);
  });

  it("[WLA-004] is denied to who has no identity", async () => {
    socket.source.entries = [{ selector: "unix:uid:4294967294", spiffeId: id }];
    expect(await outcomes()).toEqual(allOf("PERMISSION_DENIED"));
    expect(socket.source.issued()).toBe(0);
    await expect.poll(() => socket.source.listeners.size).toBe(0);
  });

  it("[WLA-004] ends when the last identity goes while it streams", async () => {
    const readings = Object.values(streams).map((open) => open());
    for (const reading of readings) await reading.next();
    socket.source.entries = [];
    socket.source.tell();
    expect(await Promise.all(readings.map((reading) => reading.end()))).toEqual(
      Array(3).fill("PERMISSION_DENIED"),
    );
    await expect.poll(() => socket.source.listeners.size).toBe(0);
  });

  it.each([
    ["UNAVAILABLE", new DomainError("ledger_unavailable", "the ledger can't record now")],
    ["RESOURCE_EXHAUSTED", new DomainError("too_many_requests", "too much at once")],
    ["UNAVAILABLE", new Error("no database")],
    ["PERMISSION_DENIED", new DomainError("subject_not_active", "its owner is not active")],
    ["INTERNAL", new DomainError("internal", "secret text")],
    ["INTERNAL", new Error("secret text")],
    ["INTERNAL", "secret text"],
  ])("[WLA-005] is told %s for what failed so, and nothing of its inside", async (status, failure) => {
    socket.source.failure = failure;
    expect(await outcomes()).toEqual(allOf(status));
    const told = await jwtSvids().catch(({ message }: Error) => message);
    expect(told).not.toContain("secret text");
    expect(socket.logged.join("")).toContain(
      failure instanceof DomainError && status !== "INTERNAL" ? "refused" : "failed",
    );
  });

  it("[WLA-005] that does not exist here is UNIMPLEMENTED, WIT-SVIDs among them", async () => {
    for (const method of ["FetchWITSVID", "FetchWITBundles", "FetchNothing"]) {
      const call = ask<Buffer>((respond) =>
        client.makeUnaryRequest(
          `/SpiffeWorkloadAPI/${method}`,
          (value: Buffer) => value,
          (value: Buffer) => value,
          Buffer.alloc(0),
          security,
          (error, value) => respond(error, value ?? Buffer.alloc(0)),
        ),
      );
      expect(await statusOf(call)).toBe("UNIMPLEMENTED");
    }
  });

  it("[WLA-005] that is sent what is no message fails alone", async () => {
    const call = ask<Buffer>((respond) =>
      client.makeUnaryRequest(
        "/SpiffeWorkloadAPI/FetchJWTSVID",
        (value: Buffer) => value,
        (value: Buffer) => value,
        Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        security,
        (error, value) => respond(error, value ?? Buffer.alloc(0)),
      ),
    );
    expect(await statusOf(call)).toBe("INTERNAL");
    expect(await outcomes()).toEqual(allOf("OK"));
  });

  it("[WLA-005] leaves no private key and no token in the log", async () => {
    const { svids } = await x509Svids().next();
    await jwtSvids();
    const lines = socket.logged.join("");
    const key = svids[0]?.x509SvidKey ?? Buffer.alloc(0);
    for (const text of [key.toString("base64"), key.toString("hex"), "eyJ"])
      expect(lines).not.toContain(text);
  });
});
