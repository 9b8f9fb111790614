import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import type { Logger } from "pino";
import { isKnownAuthority } from "../domain/signing-key.ts";
import type { TlsCertificate } from "../http/http-server.ts";
import {
  type IssueServerSvidDeps,
  issueServerSvid,
  type ServerX509Svid,
} from "../journeys/svid/issue-server.ts";
import type { X509Authority } from "../keys/x509-authority.ts";
import { newKeyPair } from "../svid/key-pair.ts";
import type { Background } from "./background.ts";
import type { Closing } from "./closing.ts";
import type { OpenLedger } from "./open-ledger.ts";

export interface ServerSvidDeps {
  readonly logger: Logger;
  readonly closing: Closing;
  readonly ledger: OpenLedger;
  readonly every: Background["every"];
}

/** The same one for whoever asks; it is issued when the first does. */
export function openServerSvidOnce(deps: ServerSvidDeps): () => Promise<ServerSvid> {
  let opened: Promise<ServerSvid> | undefined;
  return () => {
    opened ??= openServerSvid(deps);
    return opened;
  };
}

/** The X.509-SVID of this process as a server, for whatever port shows it. */
export interface ServerSvid {
  readonly certificate: () => TlsCertificate;
  /** Calls the listener with each one that follows. */
  readonly onRenewed: (listener: (certificate: TlsCertificate) => void) => void;
}

interface Held extends Pick<ServerX509Svid, "authority" | "certificates"> {
  readonly certificate: TlsCertificate;
  readonly renewAtMs: number;
}

const lookEveryMs = 5_000;

/**
 * Issues the server's SVID, with a key that never leaves this process, and another when half of its life is over or its
 * authority is tainted. Whoever verifies it by a bundle that is a few minutes old must be able to fetch the next one: while
 * an authority is too new to be known, what the one before it signed is shown for as long as it verifies.
 *
 * @throws DomainError as issueServerSvid does, the first time; later ones are tried again, and the old one is shown
 */
async function openServerSvid({ ledger, logger, closing, every }: ServerSvidDeps): Promise<ServerSvid> {
  const { keys, authorities, sequencer, installation } = ledger;
  const deps: IssueServerSvidDeps = {
    append: sequencer.append,
    now: Date.now,
    randomBytes,
    trustDomain: installation.trustDomain,
    x509Authority: () => keys.x509Authorities().active,
    trustBundle: keys.trustBundle,
    verifySignature: authorities.verifySignature,
    reloadKeys: keys.reload,
  };
  const listeners = new Set<(certificate: TlsCertificate) => void>();
  let held = await issue(deps);
  let renewing: Promise<void> | undefined;

  async function renew(): Promise<void> {
    held = await issue(deps);
    for (const listener of listeners) listener(held.certificate);
  }

  async function isDue(): Promise<boolean> {
    const { active, taintedIds } = keys.x509Authorities();
    const nowMs = Date.now();
    if (!(await verifies(deps, held.certificates))) return true;
    const isWanted = nowMs >= held.renewAtMs || taintedIds.includes(held.authority);
    return isWanted && isKnown(active, nowMs);
  }

  async function renewIfDue(): Promise<void> {
    if (!(await isDue())) return;
    renewing ??= renew().finally(() => {
      renewing = undefined;
    });
    await renewing;
  }

  every(lookEveryMs, "server SVID", renewIfDue);
  const stopFollowingKeys = keys.onChange(
    () =>
      void renewIfDue().catch((err: unknown) => logger.warn({ err }, "the server's SVID was not renewed")),
  );
  closing.add(stopFollowingKeys);
  return { certificate: () => held.certificate, onRenewed: (listener) => void listeners.add(listener) };
}

async function issue(deps: IssueServerSvidDeps): Promise<Held> {
  const { publicKey, privateKey } = newKeyPair();
  const nowMs = deps.now();
  const { certificates, expiresAtMs, authority } = await issueServerSvid(deps, publicKey);
  return {
    certificate: {
      cert: certificates.map((der) => new X509Certificate(der).toString()).join(""),
      key: createPrivateKey({ key: Buffer.from(privateKey), format: "der", type: "pkcs8" })
        .export({ format: "pem", type: "pkcs8" })
        .toString(),
    },
    authority,
    certificates,
    renewAtMs: nowMs + (expiresAtMs - nowMs) / 2,
  };
}

/** Whether whoever looks for our bundle as often as it says knows this authority by now. */
function isKnown({ certifiedAtMs, chain }: X509Authority, nowMs: number): boolean {
  // One that rests on another is verified by that one.
  return chain.length > 0 || isKnownAuthority(certifiedAtMs, nowMs);
}

/** Whether it verifies by our bundle as it is now. */
async function verifies(deps: IssueServerSvidDeps, certificates: readonly Uint8Array[]): Promise<boolean> {
  const { trustBundle, trustDomain, now, verifySignature } = deps;
  try {
    await verifyX509Svid(
      { bundleOf: (asked) => (asked === trustDomain ? trustBundle() : undefined), now, verifySignature },
      certificates,
    );
    return true;
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    return false;
  }
}
