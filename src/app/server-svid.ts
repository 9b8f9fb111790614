import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import type { TlsCertificate } from "../http/http-server.ts";
import {
  type IssueServerSvidDeps,
  issueServerSvid,
  type ServerX509Svid,
} from "../journeys/svid/issue-server.ts";
import { newKeyPair } from "../svid/key-pair.ts";
import type { Background } from "./background.ts";
import type { OpenLedger } from "./open-ledger.ts";

export interface ServerSvidDeps {
  readonly ledger: OpenLedger;
  readonly every: Background["every"];
}

/** The X.509-SVID of this process as a server, for whatever port shows it. */
export interface ServerSvid {
  readonly certificate: () => TlsCertificate;
  /** Calls the listener with each one that follows. */
  readonly onRenewed: (listener: (certificate: TlsCertificate) => void) => void;
}

interface Held extends Pick<ServerX509Svid, "authority" | "expiresAtMs"> {
  readonly certificate: TlsCertificate;
  readonly renewAtMs: number;
}

const lookEveryMs = 5_000;

/**
 * Issues the server's SVID, with a key that never leaves this process, and another when half of its life is over or its
 * authority is tainted.
 *
 * @throws DomainError as issueServerSvid does, the first time; later ones are tried again, and the old one is shown
 */
export async function openServerSvid({ ledger, every }: ServerSvidDeps): Promise<ServerSvid> {
  const { keys, authorities, sequencer, installation } = ledger;
  const deps: IssueServerSvidDeps = {
    append: sequencer.append,
    now: Date.now,
    randomBytes,
    trustDomain: installation.trustDomain,
    x509Authority: () => keys.x509Authorities().active,
    trustBundle: keys.trustBundle,
    verifySignature: authorities.verifySignature,
  };
  const listeners = new Set<(certificate: TlsCertificate) => void>();
  let held = await issue(deps);

  async function renewIfDue(): Promise<void> {
    const isTainted = keys.x509Authorities().taintedIds.includes(held.authority);
    if (!isTainted && Date.now() < held.renewAtMs) return;
    held = await issue(deps);
    for (const listener of listeners) listener(held.certificate);
  }

  every(lookEveryMs, "server SVID", renewIfDue);
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
    expiresAtMs,
    renewAtMs: nowMs + (expiresAtMs - nowMs) / 2,
  };
}
