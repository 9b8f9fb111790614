import {
  authorizeAction,
  getAccountability,
  getAction,
  listActionReports,
  listActions,
  reportAction,
} from "./actions.ts";
import { getAgentAccess } from "./agent-access.ts";
import {
  approveAgentChecksum,
  declareAgentConfiguration,
  listAgentChecksums,
  withdrawAgentChecksum,
} from "./agent-configuration.ts";
import { getAgentHistory } from "./agent-history.ts";
import {
  createAgent,
  getAgent,
  getAgentReach,
  listAgents,
  resumeAgent,
  retireAgent,
  revokeAgent,
  suspendAgent,
  transferAgent,
} from "./agents.ts";
import { getClient, setClient } from "./clients.ts";
import {
  consentToDelegation,
  createDelegation,
  getDelegation,
  getDelegationReach,
  listDelegations,
  revokeDelegation,
} from "./delegations.ts";
import { createEntry, deleteEntry, getEntry, listEntries } from "./entries.ts";
import { explainDecision } from "./explanations.ts";
import {
  addFederation,
  getFederation,
  listFederations,
  refreshFederation,
  removeFederation,
} from "./federation.ts";
import { createJoinToken, evictNode, getNode, listNodes, readmitNode } from "./nodes.ts";
import type { Operation } from "./operation.ts";
import { createOperator, getOperator, listOperators } from "./operators.ts";
import { applyPolicy, getPolicy, listPolicies, previewPolicy } from "./policies.ts";
import {
  approvePolicy,
  getPolicyProposal,
  listPolicyProposals,
  proposePolicy,
  withdrawPolicy,
} from "./policy-proposals.ts";
import { createResource, getResource, listResources } from "./resources.ts";
import { getRevocation, listReach, listRevocations, listSupplement } from "./revocations.ts";
import { getServerStatus } from "./server-status.ts";
import { listSigningKeys, rotateSigningKeys, taintAuthority, withdrawAuthority } from "./signing-keys.ts";
import { revokeToken } from "./tokens.ts";
import {
  createTrustedIssuer,
  deleteTrustedIssuer,
  getTrustedIssuer,
  listSubjectMappings,
  listTrustedIssuers,
  mapSubject,
  unmapSubject,
} from "./trusted-issuers.ts";
import { createUser, getUser, getUserReach, listUsers, offboardUser } from "./users.ts";

/** Every operation of `/v1`: nothing else is served below it. */
export const operations: readonly Operation[] = [
  createUser,
  listUsers,
  getUser,
  offboardUser,
  getUserReach,
  createAgent,
  listAgents,
  getAgent,
  getAgentReach,
  suspendAgent,
  resumeAgent,
  retireAgent,
  revokeAgent,
  transferAgent,
  getAgentAccess,
  getAgentHistory,
  declareAgentConfiguration,
  listAgentChecksums,
  approveAgentChecksum,
  withdrawAgentChecksum,
  createResource,
  listResources,
  getResource,
  setClient,
  getClient,
  createTrustedIssuer,
  listTrustedIssuers,
  getTrustedIssuer,
  deleteTrustedIssuer,
  mapSubject,
  listSubjectMappings,
  unmapSubject,
  createOperator,
  listOperators,
  getOperator,
  createDelegation,
  listDelegations,
  getDelegation,
  getDelegationReach,
  revokeDelegation,
  consentToDelegation,
  revokeToken,
  authorizeAction,
  reportAction,
  listActions,
  getAction,
  listActionReports,
  getAccountability,
  listRevocations,
  getRevocation,
  listReach,
  listSupplement,
  createEntry,
  listEntries,
  getEntry,
  deleteEntry,
  createJoinToken,
  listNodes,
  getNode,
  evictNode,
  readmitNode,
  applyPolicy,
  previewPolicy,
  listPolicies,
  getPolicy,
  explainDecision,
  proposePolicy,
  listPolicyProposals,
  getPolicyProposal,
  approvePolicy,
  withdrawPolicy,
  addFederation,
  listFederations,
  getFederation,
  refreshFederation,
  removeFederation,
  listSigningKeys,
  rotateSigningKeys,
  taintAuthority,
  withdrawAuthority,
  getServerStatus,
];
