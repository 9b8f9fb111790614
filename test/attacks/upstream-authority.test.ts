import { spawnSync } from "node:child_process";
import { randomBytes, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SpiffeId } from "@countersign/sdk/model/spiffe-id";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepAuthorities } from "../../src/journeys/keys/authorities.ts";
import { taintAuthority, withdrawAuthority } from "../../src/journeys/keys/taint.ts";
import type { X509Authority } from "../../src/keys/x509-authority.ts";
import { assembleCertificate, newSerial, validityOf } from "../../src/svid/certificate.ts";
import { svidToBeSigned } from "../../src/svid/svid-certificate.ts";
import { readUpstreamAuthority } from "../../src/svid/upstream-authority.ts";
import {
  createFirstKeys,
  type Installation,
  openInstallation,
  type Replica,
  theSystem,
} from "../keys/key-fixture.ts";
import { makeAuthority, makeSvid, newKey, pemOf, type TestAuthority } from "../svid/pki.ts";

const anHourMs = 3_600_000;
const context = {};
/** Where there is no OpenSSL, what it says can't be asked; the rest of each test runs all the same. */
const hasOpenssl = spawnSync("openssl", ["version"]).error === undefined;

/** Whether a strict verifier takes a chain by this authority, which need not have been sent. */
function isTakenStrictly([own, ...others]: readonly Uint8Array[], anchor: Uint8Array): boolean {
  const directory = mkdtempSync(join(tmpdir(), "countersign-authority-"));
  const write = (name: string, ders: readonly Uint8Array[]) => {
    const text = ders.map((der) => new X509Certificate(der).toString()).join("");
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const at = String(readCertificate(anchor).notBeforeMs / 1000 + 60);
  const given = ["-x509_strict", "-attime", at, "-CAfile", write("anchor", [anchor])];
  const sent = others.length === 0 ? [] : ["-untrusted", write("others", others)];
  const words = ["verify", ...given, ...sent, write("own", own === undefined ? [] : [own])];
  try {
    return spawnSync("openssl", words).status === 0;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("authorities below one of the operator's", () => {
  let installation: Installation;
  let one: Replica;
  beforeEach(async () => {
    installation = await openInstallation();
    one = await installation.openReplica();
    await createFirstKeys(one);
  });
  afterEach(() => installation.close());

  /** The authorities below one of the operator's: what keeps them, and the one that signs. */
  async function below(...chain: readonly [TestAuthority, ...TestAuthority[]]) {
    const certificates = chain.map((each) => pemOf(each).certificates).join("");
    const files = { certificates, privateKey: pemOf(chain[0]).privateKey };
    const deps = { ...one.deps, upstream: readUpstreamAuthority(files, installation.clock.now()) };
    await keepAuthorities(deps, theSystem);
    return [deps, one.ring.x509Authorities().active] as const;
  }
  /** An SVID of the authority that signs. */
  function svidSigned({ name, keyId, chain, sign }: X509Authority): readonly Uint8Array[] {
    const nowMs = installation.clock.now();
    const toBeSigned = svidToBeSigned({
      issuer: { name, keyId },
      spiffeId: "spiffe://issuer.example/org/default/agent/one" as SpiffeId,
      dnsNames: [],
      publicKey: newKey().publicKey,
      serial: newSerial({ randomBytes }),
      validity: validityOf(nowMs, nowMs + anHourMs),
    });
    return [assembleCertificate(toBeSigned, sign(toBeSigned)), ...chain];
  }
  const judge = (chain: readonly Uint8Array[], x509Authorities = one.ring.trustBundle().x509Authorities) => {
    const bundle = { ...one.ring.trustBundle(), x509Authorities };
    return verifyX509Svid({ bundleOf: () => bundle, now: installation.clock.now }, chain).then(
      () => "accepted",
      (error: unknown) => (error instanceof VerificationError ? error.code : error),
    );
  };

  it("[SPF-130] below an operator's authority speak for the trust domain, and nobody else below it does", async () => {
    const nowMs = installation.clock.now();
    const root = makeAuthority("corp.example", { nowMs });
    const issuing = makeAuthority("corp.example", { nowMs, upstream: root });
    const [, active] = await below(issuing, root);
    expect(one.ring.trustBundle().x509Authorities.map((der) => Buffer.from(der))).toEqual([
      Buffer.from(active.certificate),
    ]);
    const ours = svidSigned(active);
    expect(await judge(ours)).toBe("accepted");
    // Who knows the operator's root by another way may go by that.
    expect(await judge(ours, [root.certificate])).toBe("accepted");
    if (hasOpenssl) expect(isTakenStrictly(ours, active.certificate)).toBe(true);
    if (hasOpenssl) expect(isTakenStrictly(ours, root.certificate)).toBe(true);
    // Those that inspect TLS, or certify devices: of the same root, and of our very name.
    for (const upstream of [root, issuing]) {
      const other = makeAuthority("issuer.example", { nowMs, upstream });
      const forged = [
        makeSvid(other, "spiffe://issuer.example/countersign/server", { nowMs }),
        other.certificate,
      ];
      for (const chain of [forged, [...forged, issuing.certificate]]) {
        expect(await judge(chain)).not.toBe("accepted");
        if (hasOpenssl) expect(isTakenStrictly(chain, active.certificate)).toBe(false);
      }
    }
  });

  it("[SPF-131] below an operator's authority, too, are believed by nobody once they were withdrawn", async () => {
    const nowMs = installation.clock.now();
    const [deps, active] = await below(makeAuthority("corp.example", { nowMs }));
    const stolen = svidSigned(active);
    expect(await judge(stolen)).toBe("accepted");
    await taintAuthority(deps, { id: active.id, by: theSystem, context });
    await withdrawAuthority(deps, { id: active.id, by: theSystem, context });
    expect(await judge(stolen)).toBe("key_unknown");
    expect(await judge(svidSigned(one.ring.x509Authorities().active))).toBe("accepted");
  });
});
