import type { Audience } from "@countersign/sdk/model/audience";
import type {
  AgentId,
  DelegationId,
  LogId,
  OrganizationId,
  ResourceId,
  UserId,
} from "@countersign/sdk/model/ids";
import { afterEach, describe, expect, it } from "vitest";
import type { Agent } from "../../src/domain/agent.ts";
import type { DelegationChain } from "../../src/domain/delegation-chain.ts";
import type { RevocationReceipt } from "../../src/journeys/revocation-receipt.ts";
import { agentId, type FaceOptions, openFace, userId } from "./face.ts";

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const face of opened.splice(0)) await face.close();
});
async function open(options: FaceOptions = {}) {
  const face = await openFace(options);
  opened.push(face);
  return face;
}

const delegationId = userId.replace("usr", "dlg") as DelegationId;
const another = agentId.replace("v", "w") as AgentId;
const organization = "default" as OrganizationId;
const user = { id: userId as UserId, status: "active" } as const;
const createdAtMs = Date.parse("2026-11-23T12:00:00Z");
const ledger = { log: "default" as LogId, index: 7 };

/** A delegation between these agents. */
function chainBetween(grantor: AgentId | undefined, grantee: AgentId): DelegationChain {
  const delegation = {
    id: delegationId,
    organization,
    root: delegationId,
    parent: undefined,
    path: [delegationId],
    subject: user.id,
    grantor,
    grantee,
    granteeTenure: 1,
    resource: userId.replace("usr", "res") as ResourceId,
    scope: ["a"],
    authorizationDetails: [],
    budget: {},
    onward: [],
    maxDepth: 1,
    expiresAtMs: createdAtMs,
    session: undefined,
    status: "active",
    assertedBy: undefined,
    redeemed: undefined,
    createdAtMs,
  } as const;
  const agent = {
    id: grantee,
    kind: "tool",
    status: "active",
    tenure: 1,
    expiresAtMs: undefined,
    stoppedAtMs: undefined,
  } as const;
  const resource = {
    id: delegation.resource,
    organization,
    audience: "https://mail.example" as Audience,
    scope: ["a"],
    owner: undefined,
    open: true,
    status: "active",
    createdAtMs,
  } as const;
  const leaf = { delegation, tokenRevoked: false, resource, agent, owner: user };
  return { hops: [leaf], leaf, subject: user, resource };
}

describe("an agent with scope `delegate`", () => {
  it.each([
    ["its grantee", undefined, agentId as AgentId, 200],
    ["its grantor", agentId as AgentId, another, 200],
    ["no party to it", another, another, 404],
  ])("who is %s asks for a delegation", async (_who, grantor, grantee, status) => {
    const face = await open({
      records: {
        findDelegation: async () => chainBetween(grantor, grantee),
        budgetLeft: async () => ({ tokens: 3 }),
      },
    });
    const path = `/v1/delegations/${delegationId}`;
    const agent = await face.callerWith("delegate", "agent");
    expect((await agent.send("GET", path)).status).toBe(status);
    const shown = await (await face.callerWith("admin")).send("GET", path);
    expect([shown.status, await shown.json()]).toMatchObject([200, { budget_left: { tokens: 3 } }]);
    // An operator's token of that scope opens no delegation: no operator is a party to one.
    expect((await (await face.callerWith("delegate")).send("GET", path)).status).toBe(404);
  });

  it("revokes, which an operator does with scope `admin` only", async () => {
    const receipt: RevocationReceipt = {
      revoked: { kind: "delegation", id: delegationId },
      ledger,
      treeSize: 8,
      reach: { delegations: 2, agents: 1 },
      atMs: createdAtMs,
      signed: "a.signed.receipt",
    };
    const callers: string[] = [];
    const face = await open({
      journeys: {
        revokeDelegation: async ({ caller }) => {
          callers.push(caller.kind);
          return receipt;
        },
      },
    });
    const path = `/v1/delegations/${delegationId}/revoke`;
    const agent = await face.callerWith("delegate", "agent");
    expect(await (await agent.send("POST", path)).json()).toEqual({
      revoked: { kind: "delegation", id: delegationId },
      complete_as_of: "2026-11-23T12:00:00.000Z",
      ledger,
      tree_size: 8,
      counts: { delegations: 2, agents: 1 },
      receipt: "a.signed.receipt",
    });
    expect((await (await face.callerWith("admin")).send("POST", path)).status).toBe(200);
    expect((await (await face.callerWith("delegate")).send("POST", path)).status).toBe(403);
    expect(callers).toEqual(["agent", "operator"]);
  });
});

describe("a change that is committed is answered without another read", () => {
  const agent: Agent = {
    id: agentId as AgentId,
    organization,
    owner: user.id,
    ownerStatus: "active",
    tenure: 1,
    name: "a",
    kind: "tool",
    status: "suspended",
    expiresAtMs: undefined,
    createdAtMs,
  };

  it("of an agent's status", async () => {
    const changed = { ...agent, ledger, changedAtMs: createdAtMs };
    const face = await open({ journeys: { setAgentStatus: async () => changed } });
    const response = await (await face.callerWith("admin")).send("POST", `/v1/agents/${agentId}/resume`);
    expect(await response.json()).toMatchObject({ id: agentId, status: "suspended", ledger });
  });

  it("of a delegation granted, and of one passed on", async () => {
    const made = async () => ({ ...chainBetween(undefined, another), ledger });
    const face = await open({ journeys: { grantDelegation: made, narrowDelegation: made } });
    const terms = { to_agent: another, resource: "https://mail.example", scope: ["a"] };
    const granted = (await face.callerWith("admin")).send("POST", "/v1/delegations", {
      from_user: userId,
      ...terms,
    });
    const passedOn = (await face.callerWith("delegate", "agent")).send("POST", "/v1/delegations", {
      parent: delegationId,
      ...terms,
    });
    for (const response of await Promise.all([granted, passedOn])) {
      expect([response.status, await response.json()]).toMatchObject([201, { id: delegationId, ledger }]);
    }
  });
});
