import { z } from "zod";
import {
  attestedNodeSchema,
  attestNodeRequestSchema,
  nodeBundlesSchema,
  nodeChangeSchema,
  nodeEntriesQuerySchema,
  nodeEntriesSchema,
  nodeJwtRequestSchema,
  nodeJwtSchema,
  nodeNonceSchema,
  nodeSvidSchema,
  nodeX509RequestSchema,
  nodeX509Schema,
  renewNodeRequestSchema,
} from "./node-face.ts";
import { type Operation, operation } from "./operation.ts";

const byNode = { anyOf: [], by: "node", refusedWith: ["not_attested"] } as const;
const byAnybody = { anyOf: [], by: "anybody" } as const;

/**
 * What a node asks of its server below `/v1/node`. No access token opens these: a node is known by its X.509-SVID in the
 * handshake, and who is none yet by the evidence that it sends.
 */
export const nodeOperations: readonly Operation[] = [
  operation({
    ...byAnybody,
    name: "getNodeNonce",
    method: "post",
    path: "/v1/node/nonce",
    summary: "Gives a value to sign, to join by a certificate: good once, for a minute.",
    answer: nodeNonceSchema,
  }),
  operation({
    ...byAnybody,
    name: "attestNode",
    method: "post",
    path: "/v1/node/attest",
    summary:
      "Makes a machine a node by its evidence, or the node again that it was, with an X.509-SVID for its key.",
    refusedWith: ["not_attested", "conflict"],
    body: attestNodeRequestSchema,
    answer: attestedNodeSchema,
  }),
  operation({
    ...byNode,
    name: "renewNode",
    method: "post",
    path: "/v1/node/renew",
    summary:
      "Gives the node its next X.509-SVID: from the first use of that one on, the one before is refused.",
    refusedWith: ["not_attested", "conflict", "subject_not_active", "too_many_requests"],
    body: renewNodeRequestSchema,
    answer: nodeSvidSchema,
  }),
  operation({
    ...byNode,
    name: "listNodeEntries",
    method: "get",
    path: "/v1/node/entries",
    summary: "Lists the registration entries of which the node is the parent, or those that changed.",
    query: nodeEntriesQuerySchema,
    answer: nodeEntriesSchema,
  }),
  operation({
    ...byNode,
    name: "issueNodeX509Svids",
    method: "post",
    path: "/v1/node/x509-svids",
    summary: "Issues X.509-SVIDs for keys of the node's workloads, each on its own.",
    refusedWith: ["not_attested"],
    body: nodeX509RequestSchema,
    answer: nodeX509Schema,
  }),
  operation({
    ...byNode,
    name: "issueNodeJwtSvid",
    method: "post",
    path: "/v1/node/jwt-svids",
    summary: "Issues a JWT-SVID for a workload of the node.",
    refusedWith: ["not_attested", "not_found", "subject_not_active", "conflict", "too_many_requests"],
    body: nodeJwtRequestSchema,
    answer: nodeJwtSchema,
  }),
  operation({
    ...byNode,
    name: "listNodeBundles",
    method: "get",
    path: "/v1/node/bundles",
    summary: "Lists the trust bundles: the node's own first, then those that an entry of it federates with.",
    answer: nodeBundlesSchema,
  }),
  operation({
    ...byNode,
    name: "followNodeChanges",
    method: "get",
    path: "/v1/node/changes",
    summary: "Streams what of the node changes, until it is a node no more or its X.509-SVID has ended.",
    refusedWith: ["not_attested", "too_many_requests"],
    answer: z.never().describe("There are events alone."),
    events: nodeChangeSchema,
  }),
];
