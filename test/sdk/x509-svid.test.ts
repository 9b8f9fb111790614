import { spawnSync } from "node:child_process";
import { sign, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assembleCertificate } from "../../src/svid/certificate.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import {
  authority,
  bundleOf,
  dayMs,
  der,
  derOid,
  derTag,
  extension,
  hourMs,
  leaf,
  makeAuthority,
  makeOdd,
  makeSvid,
  names,
  type TestAuthority,
  uri,
} from "../svid/pki.ts";

const id = "spiffe://example.org/agent/one";
const root = makeAuthority("example.org");
const foreign = makeAuthority("other.example");

const verifiers = [
  ["WebCrypto", undefined],
  ["OpenSSL", createSignatureVerifier()],
] as const;

function verify(
  chain: readonly Uint8Array[],
  {
    nowMs = Date.now(),
    bundles = [bundleOf("example.org", [root]), bundleOf("other.example", [foreign])] as TrustBundle[],
    verifySignature = undefined as (typeof verifiers)[number][1],
  } = {},
) {
  const deps = {
    bundleOf: (trustDomain: string) => bundles.find((bundle) => bundle.trustDomain === trustDomain),
    now: () => nowMs,
    ...(verifySignature && { verifySignature }),
  };
  return verifyX509Svid(deps, chain);
}

async function refusal(chain: readonly Uint8Array[], options: Parameters<typeof verify>[1] = {}) {
  const codes = await Promise.all(
    verifiers.map(async ([, verifySignature]) => {
      try {
        await verify(chain, { ...options, verifySignature });
        return "accepted";
      } catch (error) {
        if (error instanceof VerificationError) return error.code;
        throw error;
      }
    }),
  );
  expect(new Set(codes).size, codes.join()).toBe(1);
  return codes[0];
}

/** The last part of a DNS name tells nothing: what matters is who signed. */
const odd = (parts: readonly Uint8Array[], signer: TestAuthority | undefined = root) =>
  makeOdd(signer, parts).certificate;

describe.each(verifiers)("an X.509-SVID, its signatures verified by %s", (_, verifySignature) => {
  it("[SPF-001] is accepted when its own trust domain's authority signed it", async () => {
    const { spiffeId, leaf: read } = await verify([makeSvid(root, id, { dnsNames: ["one.example"] })], {
      verifySignature,
    });
    expect(spiffeId).toBe(id);
    expect(read.dnsNames).toEqual(["one.example"]);
  });

  it("[SPF-001] is accepted through intermediates, with and without the authority itself behind them", async () => {
    const between = makeAuthority("example.org", { upstream: root });
    const chain = [makeSvid(between, id), between.certificate];
    expect((await verify(chain, { verifySignature })).spiffeId).toBe(id);
    expect((await verify([...chain, root.certificate], { verifySignature })).spiffeId).toBe(id);
  });
});

const hasOpenssl = spawnSync("openssl", ["version"]).error === undefined;

// Skipped elsewhere: without OpenSSL nobody signs with RSA here.
describe.runIf(hasOpenssl)("an authority of RSA", () => {
  it("[SPF-001] signs as well as one on an elliptic curve", async () => {
    const directory = mkdtempSync(join(tmpdir(), "countersign-rsa-"));
    const run = (...words: string[]) => {
      const { status, stderr } = spawnSync("openssl", words, { cwd: directory });
      expect(status, stderr.toString()).toBe(0);
    };
    try {
      const ca = ["-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=rsa"];
      run("req", "-x509", ...ca, "-addext", "keyUsage=critical,keyCertSign", "-days", "1");
      const leafKey = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "leaf.key",
      ];
      run("req", "-new", ...leafKey, "-out", "leaf.csr", "-subj", "/CN=leaf");
      writeFileSync(
        join(directory, "ext"),
        `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectAltName=URI:${id}\n`,
      );
      const signing = [
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-extfile",
        "ext",
        "-days",
        "1",
      ];
      run("x509", "-req", "-in", "leaf.csr", "-out", "leaf.pem", ...signing);
      const [svid, signer] = ["leaf.pem", "ca.pem"].map(
        (name) => new X509Certificate(readFileSync(join(directory, name))).raw,
      );
      const bundle = { ...bundleOf("example.org", []), x509Authorities: signer ? [signer] : [] };
      expect(await refusal(svid ? [svid] : [], { bundles: [bundle] })).toBe("accepted");
      expect(await refusal(svid ? [svid] : [])).toBe("key_unknown");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe("an X.509-SVID is refused", () => {
  it("[SPF-002] when another trust domain's authority signed it, though that one is trusted too", async () => {
    expect(await refusal([makeSvid(foreign, id)])).toBe("key_unknown");
    const claims = makeAuthority("example.org", { upstream: foreign });
    expect(await refusal([makeSvid(claims, id), claims.certificate])).toBe("key_unknown");
  });

  it("[SPF-002] when its trust domain is not trusted here", async () => {
    expect(await refusal([makeSvid(root, "spiffe://third.example/a")])).toBe("issuer_unknown");
  });

  it("[SPF-003] unless it names exactly one SPIFFE ID with a path, and no other URI", async () => {
    for (const sans of [
      names([0x86, id], [0x86, "spiffe://example.org/agent/two"]),
      names([0x86, id], [0x86, "https://example.org/"]),
      names([0x86, "spiffe://example.org"]),
      names([0x86, "spiffe://EXAMPLE.org/agent/one"]),
      names([0x86, "spiffe://example.org/agent//one"]),
      names([0x86, "spiffe://example.org/%61gent"]),
      names([0x86, "https://example.org/agent/one"]),
      names([0x82, "one.example"]),
    ]) {
      expect(await refusal([odd([...leaf, sans])])).toBe("claims_invalid");
    }
    expect(await refusal([odd(leaf)])).toBe("claims_invalid");
  });

  it("[SPF-003] when it is an authority's, or its key's usage is wrong, absent or not critical", async () => {
    const usage = (bits: number, critical: boolean) =>
      extension("2.5.29.15", der(0x03, Uint8Array.of(0, bits)), critical);
    const notAuthority = extension("2.5.29.19", der(derTag.sequence), true);
    for (const parts of [
      [...authority, uri(id)],
      [notAuthority, uri(id)],
      [notAuthority, usage(0b1000_0000, false), uri(id)],
      [notAuthority, usage(0b0010_0000, true), uri(id)],
      [notAuthority, usage(0b1000_0100, true), uri(id)],
      [notAuthority, usage(0b1000_0010, true), uri(id)],
    ]) {
      expect(await refusal([odd(parts)])).toBe("claims_invalid");
    }
  });

  it("[SPF-003] when it has a critical extension that nobody here understands, or another purpose", async () => {
    const unknown = extension("1.3.6.1.4.1.99999.1", der(0x05), true);
    expect(await refusal([odd([...leaf, uri(id), unknown])])).toBe("claims_invalid");
    const onlyMail = extension("2.5.29.37", der(derTag.sequence, derOid("1.3.6.1.5.5.7.3.4")));
    expect(await refusal([odd([...leaf.slice(0, 2), onlyMail, uri(id)])])).toBe("claims_invalid");
    const harmless = extension("1.3.6.1.4.1.99999.1", der(0x05));
    expect(await refusal([odd([...leaf, uri(id), harmless])])).toBe("accepted");
  });

  it("[SPF-004] before and after its time, and after that of its authority", async () => {
    const nowMs = Date.now();
    const svid = makeSvid(root, id, { nowMs, untilMs: nowMs + hourMs });
    expect(await refusal([svid], { nowMs: nowMs - 60_000 })).toBe("not_yet_valid");
    expect(await refusal([svid], { nowMs: nowMs + hourMs + 1000 })).toBe("expired");
    const long = makeSvid(root, id, { nowMs, untilMs: nowMs + 2 * dayMs });
    expect(await refusal([long], { nowMs: nowMs + dayMs + 1000 })).toBe("key_unknown");
    const between = makeAuthority("example.org", { upstream: root, untilMs: nowMs + 60_000 });
    expect(await refusal([makeSvid(between, id), between.certificate], { nowMs: nowMs + 61_000 })).toBe(
      "expired",
    );
  });

  it("[SPF-004] when a certificate between is no authority's, is limited, or bears a workload's name", async () => {
    const chainThrough = (parts: readonly Uint8Array[]) => {
      const between = makeOdd(root, parts, { name: "between" });
      return [makeSvid(between, id), between.certificate];
    };
    const limits = extension("2.5.29.30", der(derTag.sequence));
    const noneBelow = extension(
      "2.5.29.19",
      der(derTag.sequence, der(0x01, Uint8Array.of(0xff)), der(0x02, Uint8Array.of(0))),
      true,
    );
    expect(await refusal(chainThrough([...leaf, uri("spiffe://example.org/agent/two")]))).toBe(
      "chain_invalid",
    );
    expect(await refusal(chainThrough([...authority, limits]))).toBe("chain_invalid");
    expect(await refusal(chainThrough([...authority, uri("spiffe://example.org/agent/two")]))).toBe(
      "chain_invalid",
    );
    expect(await refusal(chainThrough([...authority, uri("spiffe://example.org")]))).toBe("accepted");
    const short = makeOdd(root, [noneBelow, ...authority.slice(1)], { name: "short" });
    expect(await refusal([makeSvid(short, id), short.certificate])).toBe("accepted");
    const below = makeAuthority("example.org", { upstream: short });
    expect(await refusal([makeSvid(below, id), below.certificate, short.certificate])).toBe("chain_invalid");
  });

  it("[SPF-004] when a signature is another's, or the chain is out of order, too long or empty", async () => {
    const other = makeAuthority("example.org");
    const impostor = { ...other, issuer: root.issuer };
    expect(await refusal([makeSvid(impostor, id)])).toBe("key_unknown");
    const between = makeAuthority("example.org", { upstream: root });
    expect(await refusal([makeSvid(other, id), between.certificate])).toBe("signature_invalid");
    expect(await refusal([between.certificate, makeSvid(between, id)])).toBe("claims_invalid");
    const links = Array.from({ length: 5 }, () => between.certificate);
    expect(await refusal([makeSvid(between, id), ...links])).toBe("malformed");
    expect(await refusal([])).toBe("malformed");
  });

  it("[SPF-004] when it names one algorithm outside and another inside of what is signed", async () => {
    const svid = makeSvid(root, id);
    const at = Buffer.from(svid).lastIndexOf(Buffer.from("2a8648ce3d040302", "hex"));
    const changed = Buffer.from(svid);
    changed[at + 7] = 0x03;
    expect(await refusal([changed])).toBe("malformed");
  });
});

describe("reading certificates", () => {
  it("[SPF-005] refuses what is no DER, and never fails in another way, whatever it is given", async () => {
    const svid = makeSvid(root, id);
    expect(await refusal([Buffer.concat([svid, Buffer.of(0)])])).toBe("malformed");
    await fc.assert(
      fc.asyncProperty(fc.nat(svid.length - 1), fc.integer({ min: 1, max: 255 }), async (place, change) => {
        const changed = Uint8Array.from(svid);
        changed[place] = (changed[place] ?? 0) ^ change;
        expect(await refusal([changed])).not.toBe("accepted");
      }),
      { numRuns: 500 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (noise) => {
        expect(await refusal([noise])).toBe("malformed");
      }),
    );
  });

  it("[SPF-005] takes no certificate whose signature was made over something else", async () => {
    const svid = makeSvid(root, id);
    const text = new X509Certificate(svid);
    expect(text.verify(new X509Certificate(root.certificate).publicKey)).toBe(true);
    const again = assembleCertificate(
      Buffer.from("nothing"),
      sign("sha256", Buffer.from("nothing"), root.privateKey),
    );
    expect(await refusal([again])).toBe("malformed");
  });
});
