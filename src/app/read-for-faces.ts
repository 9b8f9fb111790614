import { logOf, type OrganizationId } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { type PolicyProposal, standingOf } from "../domain/policy-version.ts";
import type { AdminRecords } from "../http/admin-deps.ts";
import type { LogSource } from "../http/log-source.ts";
import { openDecisionInput } from "../journeys/decide-scopes.ts";
import { listKeys } from "../journeys/keys/list.ts";
import { pageOfReach, previewReach, type ReachItemsDeps } from "../journeys/reach-items.ts";
import { exportLog } from "../ledger/export.ts";
import { createReader } from "../ledger/reader.ts";
import { accountabilityOf, findAccountedAction, listActions, listReports } from "../store/actions.ts";
import { listChecksums } from "../store/agent-checksums.ts";
import { readAgentHistory } from "../store/agent-entries.ts";
import { findAgent, listAgents, readAgentRecord } from "../store/agents.ts";
import { readBudgetsLeft } from "../store/budgets.ts";
import { findClient } from "../store/clients.ts";
import type { Database } from "../store/database.ts";
import { findDelegationChain, listDelegationChains } from "../store/delegations.ts";
import { findFederation, listFederations } from "../store/federation.ts";
import type { StoredDecisionInput } from "../store/ledger-evidence.ts";
import { findNode, listNodes } from "../store/nodes.ts";
import { findOperator, listOperators } from "../store/operators.ts";
import {
  findAppliedPolicy,
  findPolicyProposal,
  listAppliedPolicies,
  listPolicyProposals,
} from "../store/policies.ts";
import { listReach, listStoppedAgents, reachNow } from "../store/reach.ts";
import { findEntry, listEntries } from "../store/registration-entries.ts";
import { findResource, listResources } from "../store/resources.ts";
import { findRevocation, listRevocations } from "../store/revocations.ts";
import { readSupplement } from "../store/supplement.ts";
import { findTrustedIssuer, listSubjectMappings, listTrustedIssuers } from "../store/trusted-issuers.ts";
import { findUser, listUsers } from "../store/users.ts";
import type { OpenLedger } from "./open-ledger.ts";

/** What the HTTP face reads without a journey. */
export function readsForFaces(ledger: OpenLedger) {
  const { db, keys, installation } = ledger;
  return {
    records: adminRecords(db, installation.trustDomain),
    logs: servedLogs(ledger),
    trustBundle: keys.trustBundle,
  };
}

/** What the admin API reads of the store. */
function adminRecords(db: Database, trustDomain: TrustDomain): AdminRecords {
  const one =
    <Id, Found>(find: (on: Database, organization: OrganizationId, id: Id) => Promise<Found>) =>
    (organization: OrganizationId, id: Id) =>
      find(db, organization, id);
  const reach: ReachItemsDeps = {
    listReach: (query, page) => listReach(db, query, page),
    listStoppedAgents: (query, page) => listStoppedAgents(db, query, page),
  };
  return {
    findUser: one(findUser),
    listUsers: one(listUsers),
    findAgent: one(findAgent),
    listAgents: one(listAgents),
    agentRecord: (organization, id) => readAgentRecord(db, organization, id, Date.now()),
    agentHistory: (organization, id, page) => readAgentHistory(db, logOf(organization), id, page),
    listChecksums: (organization, agent, page) => listChecksums(db, organization, agent, page),
    findResource: one(findResource),
    listResources: one(listResources),
    findClient: (principal) => findClient(db, principal),
    findTrustedIssuer: one(findTrustedIssuer),
    listTrustedIssuers: one(listTrustedIssuers),
    listSubjectMappings: one(listSubjectMappings),
    findOperator: one(findOperator),
    listOperators: one(listOperators),
    ...policyRecords(db),
    findNode: one(findNode),
    listNodes: one(listNodes),
    findEntry: (organization, id) => findEntry(db, trustDomain, organization, id),
    listEntries: (organization, page) => listEntries(db, trustDomain, organization, page),
    findDelegation: one(findDelegationChain),
    budgetLeft: async (organization, id) => (await readBudgetsLeft(db, organization, [id])).get(id) ?? {},
    listDelegations: one(listDelegationChains),
    findAction: one(findAccountedAction),
    listActions: (organization, of, page) => listActions(db, organization, of, page),
    listReports: (organization, agent, page) => listReports(db, organization, agent, page),
    accountabilityOf: (organization, agent, before) => accountabilityOf(db, organization, agent, before),
    reachNow: (node) =>
      previewReach({ ...reach, now: Date.now, reachNow: (of, now) => reachNow(db, of, now) }, node),
    findRevocation: one(findRevocation),
    listRevocations: one(listRevocations),
    readSupplement: (revocation, page) => readSupplement(db, revocation, page),
    listReach: (revocation, page) => pageOfReach(reach, revocation, page),
    findFederation: (foreign) => findFederation(db, foreign),
    listFederations: (page) => listFederations(db, page),
    listSigningKeys: () => listKeys({ db }),
  };
}

type PolicyRecords = Pick<
  AdminRecords,
  "findAppliedPolicy" | "listAppliedPolicies" | "findPolicyProposal" | "listPolicyProposals"
>;

function policyRecords(db: Database): PolicyRecords {
  const standing = async (organization: OrganizationId) => {
    const current = await findAppliedPolicy(db, organization, "current");
    return (proposal: PolicyProposal) => {
      return { ...proposal, status: standingOf(proposal, current?.number ?? 0, Date.now()) };
    };
  };
  return {
    findAppliedPolicy: (organization, number) => findAppliedPolicy(db, organization, number),
    listAppliedPolicies: (organization, page) => listAppliedPolicies(db, organization, page),
    findPolicyProposal: async (organization, id) => {
      const proposal = await findPolicyProposal(db, organization, id);
      return proposal && (await standing(organization))(proposal);
    },
    listPolicyProposals: async (organization, page) =>
      (await listPolicyProposals(db, organization, page)).map(await standing(organization)),
  };
}

/** What the log routes read: everything as of the last published checkpoint. */
function servedLogs({ db, sealer }: OpenLedger): LogSource {
  const reader = createReader({ db });
  const openInput = (input: StoredDecisionInput) => openDecisionInput(sealer, input);
  return { ...reader, export: (log) => exportLog({ db, openInput }, log) };
}
