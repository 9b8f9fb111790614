import type { Node, NodeSvids } from "../../domain/node.ts";
import { sha256 } from "../../ledger/sha256.ts";
import type { Transition, Write } from "../../store/write.ts";
import type { PreparedX509Svid } from "../svid/sign-x509.ts";

/** An X.509-SVID of a node, which alone has the key. */
export interface NodeX509Svid {
  /** In DER: the leaf first, then the intermediates. */
  readonly certificates: readonly Uint8Array[];
  readonly expiresAtMs: number;
}

/** How long it lives. */
export const nodeSvidMs = 3_600_000;

/** What is known of a Node's SVIDs. */
export interface ListNodeSvids {
  readonly listNodeSvids: (node: Node) => Promise<NodeSvids>;
}

/**
 * The row that tells of an X.509-SVID of a node. It names the one that was the last before it: where another was issued
 * meanwhile, its commit is refused.
 */
export function nodeSvidWrite(
  { organization, id }: Pick<Node, "organization" | "id">,
  publicKey: Uint8Array,
  { detail: { serial, expires_at, authority } }: PreparedX509Svid,
  { status, follows }: { readonly status: "unused" | "used"; readonly follows: string | undefined },
): Write {
  return {
    into: "node_svid",
    row: {
      id: serial,
      organization_id: organization,
      node_id: id,
      expires_at: new Date(expires_at),
      public_key_hash: nodeKeyHash(publicKey),
      status,
      follows: follows ?? null,
      authority,
    },
  };
}

/** Whether somebody may be known by it. Nobody goes by an authority that was withdrawn. */
export function isGood({ expiresAtMs, isDisowned }: NodeSvids["standing"][number], nowMs: number): boolean {
  return expiresAtMs > nowMs && !isDisowned;
}

/** What ends an SVID of a Node: it is shown by nobody from here on who is let in. */
export function spends({ serial, status }: NodeSvids["standing"][number]): Transition {
  return { set: "node_svid", id: serial, from: [status], to: "spent" };
}

/** SHA-256 of a SubjectPublicKeyInfo: base64url. */
export function nodeKeyHash(publicKey: Uint8Array): string {
  return Buffer.from(sha256(publicKey)).toString("base64url");
}
