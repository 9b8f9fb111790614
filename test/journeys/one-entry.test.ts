import { authorizeAction as authorize, signActionReport } from "@countersign/sdk/client/actions";
import type { Client } from "@countersign/sdk/client/client";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signPolicyApplication } from "@countersign/sdk/client/policies";
import type { ReportedDeed } from "@countersign/sdk/contract/action-report";
import { authorizeAction, reportAction } from "@countersign/sdk/contract/actions";
import {
  approveAgentChecksum,
  declareAgentConfiguration,
  withdrawAgentChecksum,
} from "@countersign/sdk/contract/agent-configuration";
import {
  createAgent,
  resumeAgent,
  retireAgent,
  revokeAgent,
  suspendAgent,
  transferAgent,
} from "@countersign/sdk/contract/agents";
import { setClient } from "@countersign/sdk/contract/clients";
import {
  consentToDelegation,
  createDelegation,
  revokeDelegation,
} from "@countersign/sdk/contract/delegations";
import { createEntry, deleteEntry } from "@countersign/sdk/contract/entries";
import { addFederation, refreshFederation, removeFederation } from "@countersign/sdk/contract/federation";
import { ledgerPositionSchema } from "@countersign/sdk/contract/fields";
import { attestedNodeSchema } from "@countersign/sdk/contract/node-face";
import { createJoinToken, evictNode, readmitNode } from "@countersign/sdk/contract/nodes";
import { isMutation } from "@countersign/sdk/contract/operation";
import { operations } from "@countersign/sdk/contract/operations";
import { createOperator } from "@countersign/sdk/contract/operators";
import { applyPolicy, getPolicy } from "@countersign/sdk/contract/policies";
import {
  approvePolicy,
  listPolicyProposals,
  proposePolicy,
  withdrawPolicy,
} from "@countersign/sdk/contract/policy-proposals";
import { createResource } from "@countersign/sdk/contract/resources";
import {
  listSigningKeys,
  rotateSigningKeys,
  taintAuthority,
  withdrawAuthority,
} from "@countersign/sdk/contract/signing-keys";
import { revokeToken } from "@countersign/sdk/contract/tokens";
import {
  createTrustedIssuer,
  deleteTrustedIssuer,
  mapSubject,
  unmapSubject,
} from "@countersign/sdk/contract/trusted-issuers";
import { createUser, offboardUser } from "@countersign/sdk/contract/users";
import { type ProposalId, parseOrganizationId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { audience, type Cast, castPlayers, scope, type TakingAway } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { attestBody, callAt } from "../e2e/node-stage.ts";
import {
  depsFor,
  freePort,
  type Installation,
  makeInstallation,
  type Party,
  type ServerProcess,
} from "../server.ts";

const organization = parseOrganizationId("default") ?? expect.unreachable();
const removals: (() => Promise<void>)[] = [];
let installation: Installation;
let server: ServerProcess;
let mtls: string;
let cast: Cast;
let operator: Client;
beforeAll(async () => {
  const port = await freePort();
  mtls = `https://127.0.0.1:${port}`;
  installation = await makeInstallation({ COUNTERSIGN_MTLS_PORT: String(port) }, (remove) =>
    removals.push(remove),
  );
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
  operator = cast.operator;
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

/** Makes ready what a mutation is about; what it yields makes the mutation, once. */
type Ready = () => Promise<() => Promise<unknown>>;

const jwk = async () => (await makeKeyPair()).publicJwk;
const makeUser = () => operator.perform(createUser, { body: { name: "Bob" } });
const newUser = async () => (await makeUser()).id;
const onAgent =
  (act: TakingAway): Ready =>
  async () => {
    const { id } = await cast.createAgent("worker");
    return () => operator.perform(act, { params: { id } });
  };
const deed: ReportedDeed = {
  action: "read",
  scope: [scope],
  resource: audience,
  outcome: "succeeded",
  started_at: "2026-11-25T00:00:00Z",
  ended_at: "2026-11-25T00:00:01Z",
};
const deps = () => depsFor(installation.issuer, server);
const identityOf = ({ clientId, key }: Party) => ({ issuer: installation.issuer, clientId, key });

/** How each mutation of the API is made once. */
const mutations: Readonly<Record<string, Ready>> = {
  [createUser.name]: async () => makeUser,
  [offboardUser.name]: async () => {
    const params = { id: await newUser() };
    return () => operator.perform(offboardUser, { params });
  },
  [createAgent.name]: async () => {
    const body = { owner: cast.alice, name: "worker", kind: "worker", jwk: await jwk() } as const;
    return () => operator.perform(createAgent, { body });
  },
  [suspendAgent.name]: onAgent(suspendAgent),
  [retireAgent.name]: onAgent(retireAgent),
  [revokeAgent.name]: onAgent(revokeAgent),
  [resumeAgent.name]: async () => {
    const params = { id: (await cast.createAgent("worker")).id };
    await operator.perform(suspendAgent, { params });
    return () => operator.perform(resumeAgent, { params });
  },
  [transferAgent.name]: async () => {
    const given = { params: { id: (await cast.createAgent("worker")).id }, body: { owner: await newUser() } };
    return () => operator.perform(transferAgent, given);
  },
  [createResource.name]: async () => {
    const body = {
      audience: "https://calendar.example/",
      scope: ["read"],
      owner: cast.alice,
      jwk: await jwk(),
    };
    return () => operator.perform(createResource, { body });
  },
  [setClient.name]: async () => {
    const params = { id: (await cast.createAgent("worker")).id };
    return () => operator.perform(setClient, { params, body: { dpop_nonce_required: true } });
  },
  [createOperator.name]: async () => {
    const body = { name: "Bob", jwk: await jwk() };
    return () => operator.perform(createOperator, { body });
  },
  [applyPolicy.name]: async () => {
    const { source, hash: previous } = await operator.perform(getPolicy, { params: { number: "current" } });
    const body = await signedPolicy(`${source}\ng, usr_01k9, reader-${++origins}, *`, previous);
    return () => operator.perform(applyPolicy, { body });
  },
  [proposePolicy.name]: async () => {
    const body = await nextOfTwo();
    return () => operator.perform(proposePolicy, { body });
  },
  [approvePolicy.name]: async () => {
    const second = await secondOperator();
    const { id, source, previous } = await newProposal();
    const params = { id };
    const body = await signedBy(second.identity, source, { previous, proposal: id });
    return () => second.client.perform(approvePolicy, { params, body: { signature: body.signature } });
  },
  [withdrawPolicy.name]: async () => {
    const params = { id: (await newProposal()).id };
    return () => operator.perform(withdrawPolicy, { params });
  },
  [createDelegation.name]: async () => {
    const { id } = await cast.createAgent("worker");
    const body = { from_user: cast.alice, to_agent: id, resource: audience, scope: [scope] };
    return () => operator.perform(createDelegation, { body });
  },
  [revokeDelegation.name]: async () => {
    const params = { id: await cast.grant(await cast.createAgent("worker")) };
    return () => operator.perform(revokeDelegation, { params });
  },
  [consentToDelegation.name]: async () => {
    const agent = await cast.createAgent("worker");
    const params = { id: await cast.grant(agent) };
    await operator.perform(transferAgent, { params: { id: agent.id }, body: { owner: await newUser() } });
    return () => operator.perform(consentToDelegation, { params });
  },
  [revokeToken.name]: async () => {
    const params = { id: "tok_01arz3ndektsv4rrffq69g5fav" };
    return () => operator.perform(revokeToken, { params });
  },
  [authorizeAction.name]: async () => {
    const agent = await cast.createAgent("worker");
    const delegation = await cast.grant(agent);
    const { access_token: token } = await installation
      .clientAt(server, agent)
      .redeemDelegation({ delegation, resource: audience });
    return () => authorize(deps(), identityOf(agent), token, { action: "read", scope: [scope] });
  },
  [reportAction.name]: async () => {
    const agent = await cast.createAgent("worker");
    const client = installation.clientAt(server, agent);
    const body = { report: await signActionReport(deps(), identityOf(agent), deed) };
    return () => client.perform(reportAction, { body });
  },
  [declareAgentConfiguration.name]: async () => {
    const agent = await cast.createAgent("worker");
    const body = { model: "model-1", prompt_sha256: "a".repeat(64), tools_sha256: "b".repeat(64) };
    const client = installation.clientAt(server, agent);
    return () => client.perform(declareAgentConfiguration, { params: { id: agent.id }, body });
  },
  [approveAgentChecksum.name]: async () => {
    const given = {
      params: { id: (await cast.createAgent("worker")).id },
      body: { checksum: "c".repeat(64) },
    };
    return () => operator.perform(approveAgentChecksum, given);
  },
  [withdrawAgentChecksum.name]: async () => {
    const { id } = await cast.createAgent("worker");
    const checksum = "c".repeat(64);
    await operator.perform(approveAgentChecksum, { params: { id }, body: { checksum } });
    return () => operator.perform(withdrawAgentChecksum, { params: { id, checksum } });
  },
  [createEntry.name]: async () => {
    const { id } = await cast.createAgent("worker");
    return () => operator.perform(createEntry, { body: { agent: id, selectors: ["unix:uid:4242"] } });
  },
  [deleteEntry.name]: async () => {
    const { id } = await cast.createAgent("worker");
    const made = await operator.perform(createEntry, { body: { agent: id, selectors: ["unix:uid:1"] } });
    return () => operator.perform(deleteEntry, { params: { id: made.id } });
  },
  [taintAuthority.name]: async () => {
    const params = { id: await activeAuthority() };
    return () => operator.perform(taintAuthority, { params });
  },
  [withdrawAuthority.name]: async () => {
    const params = { id: await activeAuthority() };
    await operator.perform(taintAuthority, { params });
    return () => operator.perform(withdrawAuthority, { params });
  },
  [createTrustedIssuer.name]: async () => {
    const body = { issuer: newOrigin(), jwks: { keys: [{ ...(await jwk()), kid: "k" }] } };
    return () => operator.perform(createTrustedIssuer, { body });
  },
  [deleteTrustedIssuer.name]: async () => {
    const params = { id: await newIssuer() };
    return () => operator.perform(deleteTrustedIssuer, { params });
  },
  [mapSubject.name]: async () => {
    const given = { params: { id: await newIssuer() }, body: await aSubject() };
    return () => operator.perform(mapSubject, given);
  },
  [unmapSubject.name]: async () => {
    const id = await newIssuer();
    const mapped = await operator.perform(mapSubject, { params: { id }, body: await aSubject() });
    return () => operator.perform(unmapSubject, { params: { id, mapping: mapped.id } });
  },
  [addFederation.name]: async () => {
    const body = aFederation();
    return () => operator.perform(addFederation, { body });
  },
  [refreshFederation.name]: async () => {
    const params = { trust_domain: await newFederation() };
    return () => operator.perform(refreshFederation, { params });
  },
  [removeFederation.name]: async () => {
    const params = { trust_domain: await newFederation() };
    return () => operator.perform(removeFederation, { params });
  },
  [createJoinToken.name]: async () => () => operator.perform(createJoinToken, { body: { name: "machine" } }),
  [evictNode.name]: async () => {
    const node = await newNode();
    return () => operator.perform(evictNode, { params: { id: node } });
  },
  [readmitNode.name]: async () => {
    const id = await newNode();
    await operator.perform(evictNode, { params: { id } });
    return () => operator.perform(readmitNode, { params: { id } });
  },
  [rotateSigningKeys.name]: async () => () => operator.perform(rotateSigningKeys, { body: {} }),
};

async function signedPolicy(source: string, previous: string) {
  return signedBy(identityOf({ id: "", ...(await installation.operatorKey()) }), source, { previous });
}

async function signedBy(
  identity: ReturnType<typeof identityOf>,
  source: string,
  follows: { readonly previous: string; readonly proposal?: ProposalId },
) {
  const { model } = await readShippedPolicy();
  const { hash: policy } = await loadPolicy({ model, policy: source, issuer: installation.issuer });
  return {
    source,
    signature: await signPolicyApplication(deps(), identity, { organization, policy, ...follows }),
  };
}

/** A policy that is to follow one which two operators follow. */
async function nextOfTwo() {
  const inForce = () => operator.perform(getPolicy, { params: { number: "current" } });
  const { source, hash, two_person } = await inForce();
  if (!two_person)
    await operator.perform(applyPolicy, { body: await signedPolicy(`${source}\nm, two-person`, hash) });
  const marked = await inForce();
  return signedPolicy(`${marked.source}\ng, usr_01k9, reader-${++origins}, *`, marked.hash);
}

async function newProposal() {
  const { items } = await operator.perform(listPolicyProposals, { query: { limit: 200 } });
  for (const { id, status } of items)
    if (status === "open") await operator.perform(withdrawPolicy, { params: { id } });
  const body = await nextOfTwo();
  return { ...(await operator.perform(proposePolicy, { body })), source: body.source };
}

async function secondOperator() {
  const { publicJwk, privateJwk } = await makeKeyPair();
  const { client_id: clientId } = await operator.perform(createOperator, {
    body: { name: "Bob", jwk: publicJwk },
  });
  const party = { id: "", clientId, key: privateJwk };
  return { client: installation.clientAt(server, party), identity: identityOf(party) };
}

async function newNode() {
  const { token } = await operator.perform(createJoinToken, { body: { name: "machine" } });
  const { json } = await callAt(mtls, "/v1/node/attest", attestBody(token));
  const { node } = attestedNodeSchema.parse(json);
  return node;
}

let origins = 0;
const newOrigin = () => `https://ci${++origins}.example`;

async function newIssuer(): Promise<string> {
  const body = { issuer: newOrigin(), jwks: { keys: [{ ...(await jwk()), kid: "k" }] } };
  return (await operator.perform(createTrustedIssuer, { body })).id;
}

async function aSubject() {
  return { subject: "repo:one", agent: (await cast.createAgent("worker")).id };
}

/** Nobody serves its endpoint: what could be fetched there is nothing of this. */
const aFederation = () =>
  ({
    trust_domain: new URL(newOrigin()).hostname,
    endpoint_url: "https://127.0.0.1:9/",
    profile: "https_web",
    allow_private: true,
  }) as const;

async function newFederation(): Promise<string> {
  return (await operator.perform(addFederation, { body: aFederation() })).trust_domain;
}

/** The JWT authority that signs now. */
async function activeAuthority(): Promise<string> {
  const { items } = await operator.perform(listSigningKeys, { query: { limit: 200 } });
  const active = items.find(({ purpose, status }) => purpose === "jwt_authority" && status === "active");
  return active?.id ?? expect.unreachable("there is a JWT authority");
}

/** Every mutation makes one entry; these don't, and this is why. */
const exceptions: Readonly<Record<string, { readonly entries: number; readonly why: string }>> = {
  [refreshFederation.name]: {
    entries: 0,
    why: "what is fetched is recorded where it is another bundle, and here there is none to be fetched",
  },
  [rotateSigningKeys.name]: {
    entries: 4,
    why: "without a purpose it rotates what signs tokens, JWT-SVIDs and each log, each in a commit of its own",
  },
};

/** Whose answers do not say where their entries are, since they are several. */
const withoutPlace = new Set([
  refreshFederation.name,
  rotateSigningKeys.name,
  taintAuthority.name,
  withdrawAuthority.name,
]);

/** What comes to stand in the logs beside: the tokens that requests are sent under, and checkpoints. */
const alongside = new Set(["token.issued", "checkpoint.recorded"]);

async function entries(): Promise<Map<string, { readonly type: string }>> {
  const rows = await sqlOf(installation.dataDir, "SELECT log_id, index, entry FROM ledger_entry");
  const all = rows.map(
    ({ log_id, index, entry }) => [`${log_id} ${index}`, JSON.parse(String(entry))] as const,
  );
  return new Map(all.filter(([, { type }]) => !alongside.has(type)));
}

test("[LED-001] there is a way to make every mutation of the API", () => {
  const names = operations.filter(isMutation).map(({ name }) => name);
  expect(Object.keys(mutations).sort()).toEqual(names.sort());
});

test.each(Object.entries(mutations))(
  "[LED-001] %s makes exactly one entry, where its answer says",
  async (name, ready) => {
    const make = await ready();
    const before = await entries();
    const answer = await make();
    const made = [...(await entries())].filter(([place]) => !before.has(place));
    const { entries: count } = exceptions[name] ?? { entries: 1 };
    expect(made.map(([, { type }]) => type)).toHaveLength(count);
    if (withoutPlace.has(name)) return;
    const { ledger } = z.looseObject({ ledger: ledgerPositionSchema }).parse(answer);
    expect(made.map(([place]) => place)).toContain(`${ledger.log} ${ledger.index}`);
  },
);
