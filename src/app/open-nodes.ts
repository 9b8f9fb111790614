import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { EntryId, NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import { spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import type { Logger } from "pino";
import { type Config, ConfigError } from "../config.ts";
import { assertNever } from "../domain/assert-never.ts";
import type { Node } from "../domain/node.ts";
import { createNodeLimits } from "../domain/node-limits.ts";
import type { NodeJourneys } from "../http/node-deps.ts";
import { type AttestNodeDeps, attestNode } from "../journeys/node/attest.ts";
import { authenticateNode, isStillNode } from "../journeys/node/authenticate.ts";
import { issueJwtToNode, issueX509ToNode } from "../journeys/node/issue-svid.ts";
import { renewNode } from "../journeys/node/renew.ts";
import { listFederatedBy, listNodeEntries } from "../store/node-entries.ts";
import {
  findJoinToken,
  findNode,
  findNodeOf,
  findNodeSvid,
  listNodeSvids,
  noteSpentShown,
} from "../store/nodes.ts";
import { findEntry } from "../store/registration-entries.ts";
import { type ReplayMemory, replayKey } from "../store/replay.ts";
import type { AttestedMachine } from "../svid/attest/node/attestor.ts";
import { createJoinTokenAttestor } from "../svid/attest/node/join-token.ts";
import { createK8sPsatAttestor } from "../svid/attest/node/k8s-psat.ts";
import { createNonces, type Nonces } from "../svid/attest/node/nonces.ts";
import { createX509PopAttestor, readMachineAuthorities } from "../svid/attest/node/x509pop.ts";
import type { Closing } from "./closing.ts";
import { readK8sClusters } from "./k8s-clusters.ts";
import type { OpenJourneys } from "./open-journeys.ts";
import type { OpenLedger } from "./open-ledger.ts";
import type { FederatedBundles } from "./watch-federation.ts";
import { watchNodes } from "./watch-nodes.ts";

export interface OpenNodesDeps {
  readonly logger: Logger;
  readonly closing: Closing;
  readonly ledger: OpenLedger;
  readonly journeys: OpenJourneys;
  readonly replays: ReplayMemory;
  readonly federated: FederatedBundles;
}

/** What the server does for nodes, each as a function of its request alone. */
export async function openNodes(
  { logger, closing, ledger, journeys, replays, federated }: OpenNodesDeps,
  config: Config,
): Promise<NodeJourneys> {
  const { db, keys, installation } = ledger;
  const { trustDomain } = installation;
  const changes = await watchNodes({
    db,
    closing,
    onKeys: keys.onChange,
    onForeign: federated.onChange,
    taintedIds: () => [...keys.x509Authorities().taintedIds, ...keys.jwtAuthorities().taintedIds],
    onFailed: (err) => logger.error({ err }, "it could not be read which nodes a change is of"),
  });
  const issuing = issuingDeps(ledger, journeys);
  const nonces = createNonces({
    now: Date.now,
    randomBytes,
    secret: ledger.sealer.derive("nonces of machines that become nodes"),
    useUp: (value, expiresAt) => replays.useUp(replayKey("v1", "node_nonce", value), expiresAt),
  });
  const attestMachine = await openAttestors(ledger, { nonces, replays }, config);
  return {
    issuer: installation.issuer,
    nonce: nonces.next,
    attest: (request) => attestNode({ ...issuing, attestMachine }, request),
    authenticate: (certificate, context, use) => authenticateNode(issuing, certificate, context, use),
    isStillNode: (certificate) => isStillNode(issuing, certificate),
    renew: (request) => renewNode(issuing, request),
    listEntries: ({ organization, id }, page) => listNodeEntries(db, trustDomain, organization, id, page),
    issueX509: (request) => issueX509ToNode(issuing, request),
    issueJwt: (request) => issueJwtToNode(issuing, request),
    spiffeIdOf: ({ organization, id }) => spiffeIdOf(trustDomain, { kind: "node", organization, id }),
    bundles: async (node) => [
      { bundle: keys.trustBundle(), untilMs: undefined },
      ...federated.believedOf(await listFederatedBy(db, node)),
    ],
    follow: ({ id }, listener) => changes.follow(id, listener),
  };
}

function issuingDeps(
  { db, keys, authorities, sequencer, installation: { trustDomain } }: OpenLedger,
  { refusals, reads, countFailure }: OpenJourneys,
) {
  return {
    ...createNodeLimits(Date.now),
    countFailure,
    trustDomain,
    append: sequencer.append,
    recordRefusal: refusals.record,
    invalidate: reads.invalidate,
    findClient: reads.client,
    now: Date.now,
    randomBytes,
    trustBundle: keys.trustBundle,
    svidBundle: keys.svidBundle,
    x509Authority: () => keys.x509Authorities().active,
    verifySignature: authorities.verifySignature,
    jwtAuthority: () => keys.jwtAuthorities().active,
    reloadKeys: keys.reload,
    findNode: (organization: OrganizationId, id: NodeId) => findNode(db, organization, id),
    findNodeOf: (organization: OrganizationId, machine: Pick<AttestedMachine, "attestation" | "subject">) =>
      findNodeOf(db, organization, machine),
    findNodeSvid: (node: Node, publicKeyHash: string) => findNodeSvid(db, node, publicKeyHash),
    listNodeSvids: (node: Node) => listNodeSvids(db, node),
    oneFor: sharesWork(),
    noteSpentShown: (node: Node) => noteSpentShown(db, node, new Date()),
    findEntry: (organization: OrganizationId, id: EntryId) => findEntry(db, trustDomain, organization, id),
  };
}

/** Who asks for work that is under way by the same name waits for that. */
function sharesWork(): (name: string, work: () => Promise<void>) => Promise<void> {
  const underWay = new Map<string, Promise<void>>();
  return (name, work) => {
    const begun = underWay.get(name) ?? work().finally(() => underWay.delete(name));
    underWay.set(name, begun);
    return begun;
  };
}

/**
 * The attestors that are set up, as one: each for its own kind of evidence.
 *
 * @throws ConfigError for a file that holds no certificates, or says no clusters
 */
async function openAttestors(
  { db, installation: { issuer }, organization, authorities: { verifySignature } }: OpenLedger,
  { nonces, replays }: { readonly nonces: Nonces; readonly replays: ReplayMemory },
  config: Config,
): Promise<AttestNodeDeps["attestMachine"]> {
  const now = Date.now;
  const joinToken = createJoinTokenAttestor({
    now,
    findJoinToken: (tokenHash) => findJoinToken(db, tokenHash),
  });
  const authorities = config.nodeCaFile === undefined ? [] : await readAuthorities(config.nodeCaFile);
  const x509pop = createX509PopAttestor({ now, nonces, verifySignature, organization, authorities });
  const k8sPsat = createK8sPsatAttestor({
    now,
    useUp: (value, expiresAt) => replays.useUp(replayKey("v1", "k8s_psat", value), expiresAt),
    clusters: await readK8sClusters({ now, issuer }, config),
    organization,
  });
  return async (evidence, publicKey) => {
    switch (evidence.kind) {
      case "join_token":
        return joinToken.attest(evidence, publicKey);
      case "x509pop":
        return x509pop.attest(evidence, publicKey);
      case "k8s_psat":
        return k8sPsat.attest(evidence, publicKey);
      default:
        return assertNever(evidence);
    }
  };
}

async function readAuthorities(path: string): Promise<readonly Uint8Array[]> {
  try {
    return readMachineAuthorities(await readFile(path, "utf8"));
  } catch (error) {
    throw new ConfigError(
      `COUNTERSIGN_NODE_CA can't be used: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
