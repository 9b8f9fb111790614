import {
  createAgent,
  getAgent,
  listAgents,
  resumeAgent,
  retireAgent,
  revokeAgent,
  suspendAgent,
} from "./agents.ts";
import { getClient, setClient } from "./clients.ts";
import { createDelegation, getDelegation, listDelegations, revokeDelegation } from "./delegations.ts";
import type { Operation } from "./operation.ts";
import { createOperator, getOperator, listOperators } from "./operators.ts";
import { createResource, getResource, listResources } from "./resources.ts";
import { getServerStatus } from "./server-status.ts";
import { listSigningKeys, rotateSigningKeys } from "./signing-keys.ts";
import { revokeToken } from "./tokens.ts";
import { createUser, getUser, listUsers } from "./users.ts";

/** Every operation of `/v1`: nothing else is served below it. */
export const operations: readonly Operation[] = [
  createUser,
  listUsers,
  getUser,
  createAgent,
  listAgents,
  getAgent,
  suspendAgent,
  resumeAgent,
  retireAgent,
  revokeAgent,
  createResource,
  listResources,
  getResource,
  setClient,
  getClient,
  createOperator,
  listOperators,
  getOperator,
  createDelegation,
  listDelegations,
  getDelegation,
  revokeDelegation,
  revokeToken,
  listSigningKeys,
  rotateSigningKeys,
  getServerStatus,
];
