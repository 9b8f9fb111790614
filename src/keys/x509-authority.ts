import { sign } from "node:crypto";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import type { StoredX509Authority } from "../store/signing-keys.ts";
import type { Sealer } from "./sealer.ts";
import { unsealSigningKey } from "./signing-key.ts";

/** An authority whose certificate is signed. It signs X.509-SVIDs, and gives its private half to nobody. */
export interface X509Authority {
  readonly id: string;
  /** DER, signed by its own key: what the trust bundle holds. */
  readonly certificate: Uint8Array;
  /** What an SVID bears behind its leaf, for those who know an authority of the operator's: the way to it; or nothing. */
  readonly chain: readonly Uint8Array[];
  /** Its distinguished name in DER. */
  readonly name: Uint8Array;
  readonly keyId: Uint8Array;
  readonly notAfterMs: number;
  /** Since when the trust bundle has it. */
  readonly certifiedAtMs: number | undefined;
  /** ECDSA with SHA-256: an Ecdsa-Sig-Value in DER. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** @throws KeysUnusableError when the stored key does not open; Error for one without a certificate */
export async function openX509Authority(sealer: Sealer, stored: StoredX509Authority): Promise<X509Authority> {
  const { id, certificate, certifiedAt, upstream, notAfter } = stored;
  if (certificate === null) throw new Error(`the authority ${id} has no certificate yet`);
  const privateKey = await unsealSigningKey(sealer, stored);
  const { subject: name, subjectKeyId: keyId = new Uint8Array() } = readCertificate(certificate);
  return {
    id,
    certificate,
    chain: upstream,
    name,
    keyId,
    notAfterMs: notAfter.getTime(),
    certifiedAtMs: certifiedAt?.getTime(),
    sign: (message) => sign("sha256", message, privateKey),
  };
}
