import { execFileSync } from "node:child_process";
import { createPrivateKey, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { x509popProof } from "@countersign/sdk/contract/node-face";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { createNonces } from "../../src/svid/attest/node/nonces.ts";
import { createX509PopAttestor, readMachineAuthorities } from "../../src/svid/attest/node/x509pop.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import {
  authority,
  ca,
  der,
  derOid,
  derTag,
  extension,
  hourMs,
  leaf,
  makeAuthority,
  makeOdd,
  newKey,
  type TestAuthority,
} from "../svid/pki.ts";
import { usesUpAtOnce } from "../used-once.ts";

/** What a chain is made of: the leaf first, then what signed it; and the key of the leaf. */
interface Machine {
  readonly chain: readonly Uint8Array[];
  readonly privateKey: KeyObject;
}

const directory = mkdtempSync(join(tmpdir(), "countersign-x509pop-"));
afterAll(() => rmSync(directory, { recursive: true }));

const purposes = {
  server: "1.3.6.1.5.5.7.3.1",
  client: "1.3.6.1.5.5.7.3.2",
  mail: "1.3.6.1.5.5.7.3.4",
  any: "2.5.29.37.0",
};
const [, certSign] = authority;
const usage = (bits: number) => extension("2.5.29.15", der(0x03, Uint8Array.of(0, bits)), true);
const use = (...oids: readonly string[]) => extension("2.5.29.37", der(derTag.sequence, ...oids.map(derOid)));
/** Permits names below example.org: a GeneralSubtree with a DNS name. */
const permitted = (critical: boolean) =>
  extension(
    "2.5.29.30",
    der(derTag.sequence, der(0xa0, der(derTag.sequence, der(0x82, Buffer.from("example.org"))))),
    critical,
  );
const unknown = (critical: boolean) => extension("1.3.6.1.4.1.55555.1", der(0x05), critical);
const signs = [certSign ?? new Uint8Array()];

const root = makeAuthority("machines.example");

/** Signs the nonce as the machine would; the certificates go as they are given. */
async function isNode({ chain, privateKey }: Machine, authorities = [root.certificate], nowMs = Date.now()) {
  const now = () => nowMs;
  const nonces = createNonces({ now, randomBytes, secret: randomBytes(32), useUp: usesUpAtOnce() });
  const organization = "default" as OrganizationId;
  const verifySignature = createSignatureVerifier();
  const attestor = createX509PopAttestor({ now, nonces, verifySignature, authorities, organization });
  const { publicKey } = newKey();
  const { nonce } = nonces.next();
  const proof = Buffer.from(x509popProof(nonce, Buffer.from(publicKey).toString("base64")));
  const evidence = {
    certificates: chain.map((one) => Buffer.from(one).toString("base64")),
    nonce,
    signature: sign("sha256", proof, privateKey).toString("base64"),
  };
  try {
    await attestor.attest(evidence, publicKey);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "not_attested" });
    return false;
  }
}

/** A leaf with these extensions, below authorities with those, the uppermost first. */
function below(leafExtensions: readonly Uint8Array[], ...above: readonly (readonly Uint8Array[])[]): Machine {
  let signer: TestAuthority = root;
  const intermediates = above.map((extensions, place) => {
    signer = makeOdd(signer, extensions, { name: `below ${place}` });
    return signer.certificate;
  });
  const { certificate, privateKey } = makeOdd(signer, leafExtensions, { name: "machine" });
  return { chain: [certificate, ...intermediates.reverse()], privateKey };
}

describe("[NOD-080] a certificate of the operator's authority", () => {
  it.each<[string, Machine]>([
    ["a client's", below(leaf)],
    ["one through others", below(leaf, authority, authority)],
    ["one through as many as its authority allows", below(leaf, [ca(1), ...signs], [ca(0), ...signs])],
    [
      "one below an authority for clients",
      below(leaf, [...authority, use(purposes.server, purposes.client)]),
    ],
    ["one below an authority for anything", below(leaf, [...authority, use(purposes.any)])],
    ["one with an extension that may be passed over", below([...leaf, unknown(false)])],
  ])("makes a node: %s", async (_, machine) => {
    expect(await isNode(machine)).toBe(true);
  });

  it.each<[string, Machine]>([
    ["a server's", below([usage(0x80), use(purposes.server)])],
    ["that of somebody's mail", below([usage(0x80), use(purposes.mail)])],
    ["one for anything", below([usage(0x80), use(purposes.any)])],
    ["one that does not say what it is for", below([usage(0x80)])],
    ["one whose key is not for signatures", below([usage(0x20), use(purposes.client)])],
    ["one that does not say what its key is for", below([use(purposes.client)])],
    ["an authority's own", below([...authority, use(purposes.client)])],
    ["one whose key signs certificates", below([usage(0x84), use(purposes.client)])],
    ["one with a critical extension that nobody knows", below([...leaf, unknown(true)])],
    ["one below another leaf", below(leaf, leaf)],
    ["one below a key that may sign no certificates", below(leaf, [ca(), usage(0x80)])],
    ["one below an authority that does not say so", below(leaf, [ca()])],
    ["one through more than an authority allows", below(leaf, [ca(0), ...signs], authority)],
    ["one through more than a far authority allows", below(leaf, [ca(1), ...signs], authority, authority)],
    ["one below an authority of some names", below(leaf, [...authority, permitted(true)])],
    [
      "one below an authority of some names, which says so in passing",
      below(leaf, [...authority, permitted(false)]),
    ],
    [
      "one below an authority with a critical extension that nobody knows",
      below(leaf, [...authority, unknown(true)]),
    ],
    ["one below an authority for servers", below(leaf, [...authority, use(purposes.server)])],
    ["one below too many", below(leaf, authority, authority, authority, authority, authority)],
  ])("makes none: %s", async (_, machine) => {
    expect(await isNode(machine)).toBe(false);
  });

  it("makes none with a link missing, out of its order, of another's name, or over", async () => {
    const machine = below(leaf, authority, authority);
    const [own = new Uint8Array(), low = new Uint8Array(), high = new Uint8Array()] = machine.chain;
    expect(await isNode(machine)).toBe(true);
    for (const chain of [
      [own],
      [own, high],
      [own, high, low],
      [low, high],
      [],
      [own, low, new Uint8Array(9)],
    ])
      expect(await isNode({ ...machine, chain })).toBe(false);
    const sameName = makeOdd(undefined, authority, { name: "below 1" });
    expect(await isNode({ ...machine, chain: [own] }, [sameName.certificate])).toBe(false);
    for (const awayMs of [-hourMs, 2 * hourMs])
      expect(await isNode(machine, [root.certificate], Date.now() + awayMs)).toBe(false);
    // Its intermediate may itself be what is trusted.
    expect(await isNode({ ...machine, chain: [own] }, [low])).toBe(true);
  });
});

function openssl(...words: readonly string[]): string {
  return execFileSync("openssl", words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

/** A root and a machine's certificate below it, made by OpenSSL. */
function madeByOpenssl({ key, digest }: { readonly key: readonly string[]; readonly digest: string }) {
  const at = (name: string) => join(directory, name);
  const fresh = (name: string) => [
    "-newkey",
    ...key,
    "-nodes",
    "-keyout",
    at(`${name}.key`),
    "-subj",
    `/CN=${name}`,
  ];
  const written =
    "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n";
  writeFileSync(at("leaf.ext"), written);
  openssl(
    "req",
    "-x509",
    ...fresh("ca"),
    "-addext",
    "keyUsage=critical,keyCertSign",
    "-out",
    at("ca.pem"),
    "-days",
    "1",
  );
  openssl("req", "-new", ...fresh("leaf"), "-out", at("leaf.csr"));
  const signer = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", `-${digest}`];
  openssl(
    "x509",
    "-req",
    "-in",
    at("leaf.csr"),
    ...signer,
    "-extfile",
    at("leaf.ext"),
    "-days",
    "1",
    "-out",
    at("leaf.pem"),
  );
  const read = (name: string) => readFileSync(at(name), "utf8");
  const machine = {
    chain: [new X509Certificate(read("leaf.pem")).raw],
    privateKey: createPrivateKey(read("leaf.key")),
  };
  return { machine, pem: read("ca.pem"), authorities: [new X509Certificate(read("ca.pem")).raw] };
}

const ec = (curve: string) => ["ec", "-pkeyopt", `ec_paramgen_curve:${curve}`];

describe("[NOD-081] a chain that OpenSSL made", () => {
  it.each([
    ["RSA of 2048 bits, SHA-256", ["rsa:2048"], "sha256", true],
    ["P-384, SHA-384", ec("P-384"), "sha384", true],
    ["RSA of 2048 bits, SHA-1", ["rsa:2048"], "sha1", false],
    ["P-256, SHA-1", ec("P-256"), "sha1", false],
    ["RSA of 1024 bits, SHA-256", ["rsa:1024"], "sha256", false],
    ["secp256k1, SHA-256", ec("secp256k1"), "sha256", false],
    ["P-192, SHA-256", ec("prime192v1"), "sha256", false],
  ])("is taken when nobody can forge it: %s", async (_, key, digest, isTaken) => {
    const { machine, authorities } = madeByOpenssl({ key, digest });
    expect(await isNode(machine, authorities)).toBe(isTaken);
  });

  it("is trusted in no authority that may sign nothing, or whose key is weak", () => {
    const { pem } = madeByOpenssl({ key: ["rsa:2048"], digest: "sha256" });
    expect(readMachineAuthorities(pem)).toHaveLength(1);
    expect(() => readMachineAuthorities(madeByOpenssl({ key: ["rsa:1024"], digest: "sha256" }).pem)).toThrow(
      "weak",
    );
    expect(() => readMachineAuthorities(new X509Certificate(below(leaf).chain[0] ?? pem).toString())).toThrow(
      "no authority",
    );
    expect(() => readMachineAuthorities("")).toThrow("no certificate");
  });
});

/** Whether OpenSSL takes a chain for a client's. */
function isTakenByOpenssl([own, ...others]: readonly Uint8Array[]): boolean {
  const write = (name: string, ders: readonly Uint8Array[]) => {
    writeFileSync(join(directory, name), ders.map((one) => new X509Certificate(one).toString()).join(""));
    return join(directory, name);
  };
  const given = ["-x509_strict", "-purpose", "sslclient", "-CAfile", write("root", [root.certificate])];
  const untrusted = others.length === 0 ? [] : ["-untrusted", write("others", others)];
  try {
    openssl("verify", ...given, ...untrusted, write("own", own === undefined ? [] : [own]));
    return true;
  } catch {
    // It ends with a failure for what it does not take.
    return false;
  }
}

it("[NOD-080] makes a node of no chain that OpenSSL would not take for a client's", async () => {
  const anAuthority = fc.record({
    pathLength: fc.constantFrom(undefined, 0, 1, 2),
    isAuthority: fc.boolean(),
    bits: fc.constantFrom(0x04, 0x06, 0x80),
    extra: fc.constantFrom(
      [],
      [unknown(true)],
      [permitted(true)],
      [use(purposes.server)],
      [use(purposes.client)],
    ),
  });
  const mostlyFine = fc.oneof(
    { weight: 4, arbitrary: fc.constant(authority) },
    {
      weight: 1,
      arbitrary: anAuthority.map(({ pathLength, isAuthority, bits, extra }) => [
        isAuthority ? ca(pathLength) : extension("2.5.29.19", der(derTag.sequence), true),
        usage(bits),
        ...extra,
      ]),
    },
    { weight: 2, arbitrary: fc.nat(2).map((pathLength) => [ca(pathLength), ...signs]) },
  );
  const aLeaf = fc.oneof(
    { weight: 4, arbitrary: fc.constant(leaf) },
    {
      weight: 1,
      arbitrary: fc.constantFrom([...leaf, unknown(true)], [usage(0x20), use(purposes.client)], authority),
    },
  );
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(aLeaf, fc.array(mostlyFine, { maxLength: 3 }), async (own, above) => {
      const machine = below(own, ...above);
      if (!(await isNode(machine))) return;
      taken += 1;
      expect(isTakenByOpenssl(machine.chain)).toBe(true);
    }),
    { numRuns: 120 },
  );
  expect(taken).toBeGreaterThan(10);
});
