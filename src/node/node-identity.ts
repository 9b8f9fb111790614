import { createPrivateKey } from "node:crypto";
import { chmod, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { anId, aSpiffeId, aTime } from "@countersign/sdk/contract/fields";
import { nodeBundlesSchema } from "@countersign/sdk/contract/node-face";
import type { NodeId } from "@countersign/sdk/model/ids";
import {
  parseSpiffeId,
  parseTrustDomain,
  type SpiffeId,
  type TrustDomain,
  trustDomainOf,
} from "@countersign/sdk/model/spiffe-id";
import { formatTrustBundle, parseTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { z } from "zod";
import { base64Of, bytesOf } from "../domain/base64.ts";
import type { BelievedBundle } from "../domain/federation.ts";

/** What a node is known by to its server, and what it knows the server by. */
export interface NodeIdentity {
  readonly node: NodeId;
  readonly spiffeId: SpiffeId;
  readonly trustDomain: TrustDomain;
  /** In DER: the leaf first, then the intermediates. */
  readonly certificates: readonly Uint8Array[];
  /** PKCS #8, DER. */
  readonly privateKey: Uint8Array;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** Whose token endpoint binds a JWT-SVID to the key of its first presenter. */
  readonly issuer: string;
  /** Of its own trust domain first. */
  readonly bundles: readonly BelievedBundle[];
}

const fileName = "node.json";

const identitySchema = z.strictObject({
  node: anId("node"),
  spiffe_id: aSpiffeId,
  certificates: z.array(z.base64()).min(1),
  private_key: z.base64(),
  issued_at: aTime,
  expires_at: aTime,
  bundles: nodeBundlesSchema,
});

/**
 * The identity that was last kept in this directory, or undefined where there is none.
 *
 * @throws Error in one line for a file that others may read, or that holds something else
 */
export async function readIdentity(directory: string): Promise<NodeIdentity | undefined> {
  const path = join(directory, fileName);
  let text: string;
  try {
    const file = await open(path);
    try {
      const { mode } = await file.stat();
      if ((mode & 0o077) !== 0)
        throw new Error(`${path} holds a key and may be read by others: chmod 600 it`);
      text = await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  const parsed = identitySchema.safeParse(jsonOf(text));
  const spiffeId = parsed.success ? parseSpiffeId(parsed.data.spiffe_id) : undefined;
  if (!parsed.success || spiffeId === undefined)
    throw new Error(`${path} is not what a node keeps: remove it to join anew`);
  const { node, certificates, private_key, issued_at, expires_at, bundles } = parsed.data;
  return {
    node,
    spiffeId,
    trustDomain: trustDomainOf(spiffeId),
    certificates: certificates.map(bytesOf),
    privateKey: bytesOf(private_key),
    issuedAtMs: Date.parse(issued_at),
    expiresAtMs: Date.parse(expires_at),
    issuer: bundles.issuer,
    bundles: bundlesOf(bundles),
  };
}

/** Keeps an identity so that a crash leaves this one or the one before, whole, for its owner's eyes alone. */
export async function keepIdentity(directory: string, identity: NodeIdentity): Promise<void> {
  const { node, spiffeId, certificates, privateKey, issuedAtMs, expiresAtMs, issuer, bundles } = identity;
  const kept: z.input<typeof identitySchema> = {
    node,
    spiffe_id: spiffeId,
    certificates: certificates.map(base64Of),
    private_key: base64Of(privateKey),
    issued_at: new Date(issuedAtMs).toISOString(),
    expires_at: new Date(expiresAtMs).toISOString(),
    bundles: bundlesToWire({ issuer, bundles }),
  };
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const path = join(directory, fileName);
  const draft = `${path}.${process.pid}`;
  const file = await open(draft, "w", 0o600);
  try {
    await file.writeFile(JSON.stringify(kept));
    await file.sync();
  } finally {
    await file.close();
  }
  // One that stood there keeps its mode.
  await chmod(draft, 0o600);
  await rename(draft, path);
}

/** Forgets the identity that is kept in this directory. */
export async function forgetIdentity(directory: string): Promise<void> {
  await rm(join(directory, fileName), { force: true });
}

/** Bundles as a server writes them; one of a trust domain that can't be one is left out. */
export function bundlesOf({ items }: z.output<typeof nodeBundlesSchema>): readonly BelievedBundle[] {
  return items.flatMap(({ trust_domain, bundle, believed_until }) => {
    const trustDomain = parseTrustDomain(trust_domain);
    const untilMs = believed_until === undefined ? undefined : Date.parse(believed_until);
    return trustDomain === undefined ? [] : [{ bundle: parseTrustBundle(trustDomain, bundle), untilMs }];
  });
}

/** As a server writes them. */
export function bundlesToWire({ issuer, bundles }: Pick<NodeIdentity, "issuer" | "bundles">) {
  return {
    issuer,
    items: bundles.map(({ bundle, untilMs }) => ({
      trust_domain: bundle.trustDomain,
      bundle: formatTrustBundle(bundle),
      ...(untilMs !== undefined && { believed_until: new Date(untilMs).toISOString() }),
    })),
  };
}

/** Authorities of a bundle document in a file, whichever trust domain it is of. @throws Error in one line */
export async function readBundleFile(path: string): Promise<readonly Uint8Array[]> {
  const anyDomain = parseTrustDomain("unknown");
  const document = jsonOf(await readFile(path, "utf8"));
  if (anyDomain === undefined || document === undefined) throw new Error(`${path} is no trust bundle`);
  const { x509Authorities } = parseTrustBundle(anyDomain, document);
  if (x509Authorities.length === 0) throw new Error(`${path} holds no X.509 authority`);
  return x509Authorities;
}

/** A certificate in PEM. */
export function certificatePem(der: Uint8Array): string {
  const lines = base64Of(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** A private key in PEM. */
export function keyPem(privateKey: Uint8Array): string {
  const key = createPrivateKey({ key: Buffer.from(privateKey), format: "der", type: "pkcs8" });
  return key.export({ format: "pem", type: "pkcs8" }).toString();
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON at all: nothing that is accepted.
    return undefined;
  }
}
