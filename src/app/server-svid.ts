import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import type { Logger } from "pino";
import { isServerSvidDue, type ShownServerSvid } from "../domain/server-svid.ts";
import type { TlsCertificate } from "../http/http-server.ts";
import { type IssueServerSvidDeps, issueServerSvid } from "../journeys/svid/issue-server.ts";
import { verifiesByOurBundle } from "../journeys/svid/sign-x509.ts";
import { newKeyPair } from "../svid/key-pair.ts";
import type { Background } from "./background.ts";
import type { Closing } from "./closing.ts";
import type { OpenLedger } from "./open-ledger.ts";

export interface ServerSvidDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
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

interface Held extends ShownServerSvid {
  readonly certificate: TlsCertificate;
  /** The same without its key: the leaf first, in DER. */
  readonly certificates: readonly Uint8Array[];
}

const lookEveryMs = 5_000;

/**
 * Issues the server's SVID, with a key that never leaves this process, and another whenever one is due.
 *
 * @throws DomainError as issueServerSvid does, the first time; later ones are tried again, and the old one is shown
 */
async function openServerSvid({ now, ledger, logger, closing, every }: ServerSvidDeps): Promise<ServerSvid> {
  const { keys, authorities, sequencer, installation } = ledger;
  const deps: IssueServerSvidDeps = {
    append: sequencer.append,
    now,
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
    const verifies = await verifiesByOurBundle(deps, held.certificates);
    return isServerSvidDue(held, { ...keys.x509Authorities(), verifies }, now());
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
  const issuedAtMs = deps.now();
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
    issuedAtMs,
    expiresAtMs,
  };
}
