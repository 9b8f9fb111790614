import { execFileSync, spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepAuthorities } from "../../src/journeys/keys/authorities.ts";
import { listKeys } from "../../src/journeys/keys/list.ts";
import { rotateKeys } from "../../src/journeys/keys/rotate.ts";
import { taintAuthority, withdrawAuthority } from "../../src/journeys/keys/taint.ts";
import { readUpstreamAuthority } from "../../src/svid/upstream-authority.ts";
import { barrierFor } from "../barrier.ts";
import {
  authority as authorityExtensions,
  ca,
  leaf,
  makeAuthority,
  makeOdd,
  pemOf,
  type TestAuthority,
} from "../svid/pki.ts";
import {
  createFirstKeys,
  type Installation,
  openInstallation,
  type Replica,
  systemEntries,
  theSystem,
} from "./key-fixture.ts";

const aMinuteMs = 60_000;
const anHourMs = 60 * aMinuteMs;
const context = {};
const [, ...signsOnly] = authorityExtensions;
/** Where there is no OpenSSL, what it says can't be asked; the rest of each test runs all the same. */
const hasOpenssl = spawnSync("openssl", ["version"]).error === undefined;

/** What a strict verifier says; OpenSSL checks each rule of RFC 5280 that node:crypto passes over. */
function strictly(certificate: Uint8Array, root: Uint8Array): string {
  if (!hasOpenssl) return "OK";
  const directory = mkdtempSync(join(tmpdir(), "countersign-authority-"));
  const write = (name: string, der: Uint8Array) => {
    writeFileSync(join(directory, name), new X509Certificate(der).toString());
    return join(directory, name);
  };
  try {
    const at = String(readCertificate(certificate).notBeforeMs / 1000 + 60);
    const given = [
      "-x509_strict",
      "-check_ss_sig",
      "-attime",
      at,
      "-CAfile",
      write("root", root),
      write("own", certificate),
    ];
    return execFileSync("openssl", ["verify", ...given], { encoding: "utf8" })
      .trim()
      .slice(-2);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("the authorities of the trust domain", () => {
  let installation: Installation;
  let one: Replica;
  let other: Replica;
  beforeEach(async () => {
    installation = await openInstallation();
    one = await installation.openReplica();
    other = await installation.openReplica();
    await createFirstKeys(one);
  });
  afterEach(() => installation.close());

  const keep = ({ deps }: Replica) => keepAuthorities(deps, theSystem);
  const census = async () =>
    (await listKeys(one.deps))
      .filter(({ purpose }) => purpose === "x509_authority")
      .map(({ status }) => status);

  it("[SPF-101] are one at first start, however many start at once, recorded before they are certified", async () => {
    await Promise.all([one, other].map(keep));
    await Promise.all([one, other].map(({ ring }) => ring.reload()));
    expect(await census()).toEqual(["active"]);
    const authorities = [one, other].map(({ ring }) => ring.x509Authorities().active);
    expect(authorities[0]?.certificate).toEqual(authorities[1]?.certificate);
    const recorded = (await systemEntries(one)).filter(({ detail }) =>
      JSON.stringify(detail).includes("x509_authority"),
    );
    expect(recorded).toMatchObject([{ type: "key.created", claims_hash: expect.any(String) }]);
  });

  it("[SPF-102] have certificates that a strict verifier takes, and that name the trust domain alone", async () => {
    await keep(one);
    const { certificate } = one.ring.x509Authorities().active;
    expect(strictly(certificate, certificate)).toBe("OK");
    const { isAuthority, keyUsage, uris, notAfterMs } = readCertificate(certificate);
    expect({ isAuthority, keyUsage, uris }).toEqual({
      isAuthority: true,
      keyUsage: { critical: true, digitalSignature: false, keyCertSign: true, cRLSign: true },
      uris: ["spiffe://issuer.example"],
    });
    expect(notAfterMs - installation.clock.now()).toBe(24 * anHourMs);
  });

  it("[SPF-103] follow each other for days: always one signs, known for ten minutes before, with four hours left", async () => {
    await keep(one);
    const knownSince = new Map<string, number>();
    const sequences: number[] = [];
    const signed = new Set<string>();
    for (let minute = 0; minute < 5 * 24 * 60; minute += 2) {
      installation.clock.advance(2 * aMinuteMs);
      await keep(minute % 4 === 0 ? one : other);
      if (minute % 10 !== 0) continue;
      await one.ring.reload();
      const nowMs = installation.clock.now();
      const { x509Authorities, sequence = 0 } = one.ring.trustBundle();
      for (const der of x509Authorities) {
        const name = Buffer.from(der).toString("base64");
        knownSince.set(name, knownSince.get(name) ?? nowMs);
        expect(readCertificate(der).notAfterMs).toBeGreaterThan(nowMs);
      }
      sequences.push(sequence);
      const { active } = one.ring.x509Authorities();
      const name = Buffer.from(active.certificate).toString("base64");
      if (!signed.has(name) && signed.size > 0)
        expect(nowMs - (knownSince.get(name) ?? nowMs)).toBeGreaterThanOrEqual(10 * aMinuteMs);
      signed.add(name);
      expect(active.notAfterMs - nowMs).toBeGreaterThanOrEqual(3 * anHourMs);
    }
    expect(signed.size).toBeGreaterThan(8);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    expect((await census()).filter((status) => status === "active")).toHaveLength(1);
  });

  it("[SPF-103] that ended while nobody kept them are followed at once", async () => {
    await keep(one);
    installation.clock.advance(40 * anHourMs);
    for (let turn = 0; turn < 4; turn++) await keep(one);
    expect(one.ring.x509Authorities().active.notAfterMs).toBeGreaterThan(installation.clock.now());
  });

  it("[SPF-101] that were recorded and not certified before a process ended are certified by the next", async () => {
    const deps = { ...one.deps, verifySignature: () => Promise.reject(new Error("killed")) };
    await expect(keepAuthorities(deps, theSystem)).rejects.toThrow("killed");
    expect(() => one.ring.x509Authorities()).toThrow("no X.509 authority yet");
    await keep(other);
    await one.ring.reload();
    expect(await census()).toEqual(["active"]);
    expect(
      strictly(one.ring.x509Authorities().active.certificate, one.ring.x509Authorities().active.certificate),
    ).toBe("OK");
  });

  it("[SPF-102] whose signature is not what was to be signed never leave", async () => {
    const deps = { ...one.deps, verifySignature: () => false };
    await expect(keepAuthorities(deps, theSystem)).rejects.toThrow("not what was to be signed");
    await one.ring.reload();
    expect(one.ring.trustBundle().x509Authorities).toEqual([]);
  });

  it("[SPF-104] when tainted sign no more from that commit on, stay in the bundle, and leave it when withdrawn", async () => {
    await keep(one);
    const { active } = one.ring.x509Authorities();
    await taintAuthority(one.deps, { id: active.id, by: theSystem, context });
    expect(one.ring.x509Authorities().active.id).not.toBe(active.id);
    expect(one.ring.x509Authorities().taintedIds).toEqual([active.id]);
    expect(one.ring.trustBundle().x509Authorities).toHaveLength(2);
    await expect(taintAuthority(one.deps, { id: active.id, by: theSystem, context })).rejects.toThrow(
      "tainted already",
    );
    const before = one.ring.trustBundle().sequence ?? 0;
    installation.clock.advance(1);
    await withdrawAuthority(one.deps, { id: active.id, by: theSystem, context });
    expect(one.ring.trustBundle().x509Authorities).toHaveLength(1);
    expect(one.ring.trustBundle().sequence).toBeGreaterThan(before);
    expect((await systemEntries(one)).slice(-2).map(({ type }) => type)).toEqual([
      "key.tainted",
      "key.withdrawn",
    ]);
  });

  it("[SPF-104] of JWT-SVIDs are tainted and withdrawn as well, and no key of tokens or logs is", async () => {
    const { active } = one.ring.jwtAuthorities();
    await taintAuthority(one.deps, { id: active.kid, by: theSystem, context });
    expect(one.ring.jwtAuthorities().active.kid).not.toBe(active.kid);
    await withdrawAuthority(one.deps, { id: active.kid, by: theSystem, context });
    expect(one.ring.trustBundle().jwtAuthorities.map(({ kid }) => kid)).not.toContain(active.kid);
    const token = one.ring.tokenKeys().active.kid;
    await expect(taintAuthority(one.deps, { id: token, by: theSystem, context })).rejects.toThrow(
      "no such authority",
    );
  });

  it("[SPF-104] of JWT-SVIDs are tainted both, the next one first, and there is one to sign and one to follow", async () => {
    const [active, next] = one.ring.trustBundle().jwtAuthorities.map(({ kid }) => kid);
    for (const id of [next, active]) await taintAuthority(one.deps, { id: id ?? "", by: theSystem, context });
    const fresh = one.ring.svidBundle().jwtAuthorities.map(({ kid }) => kid);
    expect(fresh).toHaveLength(2);
    expect(fresh).not.toContain(active);
    expect(fresh).not.toContain(next);
    expect(one.ring.jwtAuthorities().active.kid).toBe(fresh[0]);
    expect(await rotateKeys(one.deps, { purpose: "jwt_authority", by: theSystem })).toHaveLength(1);
    expect((await census()).filter((status) => status === "next")).toEqual([]);
  });

  it("[SPF-104] are withdrawn by one of two who do it at once, and never before they were tainted", async () => {
    await keep(one);
    const { id } = one.ring.x509Authorities().active;
    await expect(withdrawAuthority(one.deps, { id, by: theSystem, context })).rejects.toThrow("taint it");
    const meet = barrierFor(2);
    const both = [one, other].map(async ({ deps }) => {
      await meet();
      return taintAuthority(deps, { id, by: theSystem, context });
    });
    const settled = await Promise.allSettled(both);
    expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("[SPF-103] are not rotated by hand before verifiers know the next one", async () => {
    await keep(one);
    const rotate = () => rotateKeys(one.deps, { purpose: "x509_authority", by: theSystem });
    await expect(rotate()).rejects.toThrow("no authority is ready to follow");
    installation.clock.advance(13 * anHourMs);
    await keep(one);
    await expect(rotate()).rejects.toThrow("no authority is ready to follow");
    installation.clock.advance(10 * aMinuteMs);
    expect(await rotate()).toMatchObject([{ purpose: "x509_authority" }]);
    expect(await census()).toEqual(["retired", "active"]);
  });

  it("[SPF-105] rest on the operator's own authority where there is one, and never outlive it", async () => {
    const nowMs = installation.clock.now();
    const [, active] = await below(makeAuthority("corp.example", { nowMs, untilMs: nowMs + 5 * anHourMs }));
    expect(active.notAfterMs).toBe(nowMs + 5 * anHourMs);
    expect(strictly(active.certificate, active.certificate)).toBe("OK");
    const [entry] = (await systemEntries(one)).slice(-1);
    const [crossed] = active.chain;
    const signed = readCertificate(crossed ?? expect.unreachable()).toBeSigned;
    const hash = createHash("sha256").update(signed).digest("base64url");
    expect(entry?.detail).toMatchObject({ upstream_claims_hash: hash });
  });

  /** The authorities below one of the operator's: what keeps them, and the one that signs. */
  async function below(...chain: readonly [TestAuthority, ...TestAuthority[]]) {
    const certificates = chain.map((each) => pemOf(each).certificates).join("");
    const files = { certificates, privateKey: pemOf(chain[0]).privateKey };
    const deps = { ...one.deps, upstream: readUpstreamAuthority(files, installation.clock.now()) };
    await keepAuthorities(deps, theSystem);
    return [deps, one.ring.x509Authorities().active] as const;
  }
  it("[SPF-105] refuse an operator's authority that is none, is another's key, has ended or may sign none below", () => {
    const nowMs = Date.now();
    const good = makeAuthority("corp.example");
    const refusal = (files: { certificates: string; privateKey: string }, atMs = nowMs) => {
      try {
        readUpstreamAuthority(files, atMs);
        return "accepted";
      } catch (error) {
        return error instanceof Error ? error.message : "";
      }
    };
    expect(refusal(pemOf(good))).toBe("accepted");
    expect(refusal({ ...pemOf(good), privateKey: pemOf(makeAuthority("x")).privateKey })).toMatch(
      "not that of the first",
    );
    expect(refusal(pemOf(makeOdd(undefined, leaf)))).toMatch("no authority");
    expect(refusal(pemOf(good), nowMs + 25 * anHourMs)).toMatch("not valid now");
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const rsaKey = rsa.export({ format: "pem", type: "pkcs8" }).toString();
    expect(refusal({ ...pemOf(good), privateKey: rsaKey })).toMatch("elliptic curve");
    const stranger = pemOf(makeOdd(undefined, authorityExtensions)).certificates;
    expect(refusal({ ...pemOf(good), certificates: pemOf(good).certificates + stranger })).toMatch(
      "each must be signed",
    );
    expect(refusal({ ...pemOf(good), certificates: "" })).toMatch("no certificate");
    const limited = (pathLength: number) => makeOdd(undefined, [ca(pathLength), ...signsOnly]);
    const none = limited(0);
    expect(refusal(pemOf(none))).toMatch("path length");
    expect(refusal(pemOf(limited(1)))).toBe("accepted");
    const chained = (root: TestAuthority) => {
      const below = makeAuthority("corp.example", { upstream: root });
      return refusal({ ...pemOf(below), certificates: pemOf(below).certificates + pemOf(root).certificates });
    };
    expect(chained(none)).toMatch("path length");
    expect(chained(limited(1))).toMatch("path length");
    expect(chained(limited(2))).toBe("accepted");
  });
});
