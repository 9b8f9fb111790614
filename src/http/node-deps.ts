import type { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { NodeChange, NodeEvidence } from "@countersign/sdk/contract/node-face";
import type { AgentChecksum } from "@countersign/sdk/model/agent-configuration";
import type { EntryId } from "@countersign/sdk/model/ids";
import type { SpiffeId } from "@countersign/sdk/model/spiffe-id";
import type { BelievedBundle } from "../domain/federation.ts";
import type { Node } from "../domain/node.ts";
import type { RegistrationEntry } from "../domain/registration-entry.ts";
import type { AttestedNode } from "../journeys/node/attest.ts";
import type { KnownNode, NodeUse } from "../journeys/node/authenticate.ts";
import type { NodeX509Item } from "../journeys/node/issue-svid.ts";
import type { NodeX509Svid } from "../journeys/node/node-svid.ts";
import type { RequestContext } from "../journeys/record/record.ts";
import type { IssuedJwtSvid } from "../journeys/svid/issue-jwt.ts";
import type { X509SvidOutcome } from "../journeys/svid/issue-x509.ts";
import type { CertificatePath } from "./client-certificate.ts";
import type { Streams } from "./streams.ts";

/** An entry as its node gets it. */
export interface NodeEntry {
  readonly entry: RegistrationEntry;
  /** Changes whenever what is held for it is to be issued anew. */
  readonly standing: string;
}

export interface NodeEntriesPage {
  /** What is asked with the next time, to be told what changed since. */
  readonly asOf: number;
  readonly items: readonly NodeEntry[];
  readonly ended: readonly EntryId[];
  readonly next: string | undefined;
}

/** What the server does for nodes. Each throws DomainError. */
export interface NodeJourneys {
  readonly issuer: string;
  /** A value to sign, which is good once and for a short time. */
  nonce(): { readonly nonce: string; readonly expiresAtMs: number };
  attest(request: {
    readonly evidence: NodeEvidence;
    readonly publicKey: Uint8Array;
    readonly context: RequestContext;
  }): Promise<AttestedNode>;
  authenticate(
    certificate: X509Certificate | undefined,
    context: RequestContext,
    use: NodeUse,
  ): Promise<KnownNode>;
  /** Whether who was let in by this certificate would be still. */
  isStillNode(certificate: X509Certificate | undefined): Promise<boolean>;
  renew(request: {
    readonly node: Node;
    readonly shown: string;
    readonly publicKey: Uint8Array;
    readonly context: RequestContext;
  }): Promise<NodeX509Svid>;
  listEntries(
    node: Node,
    page: { readonly since: number | undefined; readonly after: string | undefined; readonly limit: number },
  ): Promise<NodeEntriesPage>;
  /** One outcome for each item, in order. */
  issueX509(request: {
    readonly node: Node;
    readonly shown: string;
    readonly items: readonly NodeX509Item[];
    readonly context: RequestContext;
  }): Promise<readonly X509SvidOutcome[]>;
  issueJwt(request: {
    readonly node: Node;
    readonly shown: string;
    readonly entry: EntryId;
    readonly checksum: AgentChecksum | undefined;
    readonly audience: readonly string[];
    readonly context: RequestContext;
  }): Promise<IssuedJwtSvid>;
  spiffeIdOf(node: Node): SpiffeId;
  /** Our own first, then those that an entry of the node federates with. */
  bundles(node: Node): Promise<readonly BelievedBundle[]>;
  /** Calls back at once, that anything may have changed, and with each change that is of the node; `ended` when it was evicted. @returns a function that ends it */
  follow(node: Node, listener: (change: NodeChange | "ended") => void): () => void;
}

export interface NodeFaceDeps {
  readonly nodes: NodeJourneys;
  readonly nodeStreams: Streams;
  /** The certificate whose key the sender proved to hold. */
  certificateOf(request: IncomingMessage): X509Certificate | undefined;
  /** How a certificate could have come with it; undefined where none could. */
  certificatePathOf(request: IncomingMessage): CertificatePath | undefined;
}
