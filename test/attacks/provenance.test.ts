import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AuthorizeActionRequest } from "@countersign/sdk/contract/actions";
import { authorizationSchema, authorizeAction } from "@countersign/sdk/contract/actions";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { audience, callApi, scope } from "../chaos/cast.ts";
import { type Caller, openStage, type Stage } from "./stage.ts";

// An agent that does what an attacker says, at a sink of which the policy says that it is of high risk.
const removals: (() => Promise<void>)[] = [];
let stage: Stage;
let agent: Caller;
beforeAll(async () => {
  stage = await openStage((remove) => removals.push(remove));
  const { cast, installation } = stage;
  const party = await cast.createAgent("courier");
  const delegation = await cast.grant(party);
  const client = stage.clientOf(party);
  const { access_token } = await client.redeemDelegation({ delegation, resource: audience });
  agent = { ...party, accessToken: access_token };
  const example = readFileSync(new URL("../../policies/examples/provenance.csv", import.meta.url), "utf8");
  const lines = example.replace("https://payments.example", audience);
  const path = join(installation.dataDir, "policy.csv");
  writeFileSync(path, `${(await readShippedPolicy()).policy}\n${lines}`);
  expect((await installation.run("policy", "apply", path)).code).toBe(0);
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const ask = async (said: object) => {
  const body = JSON.stringify({ action: "send", scope: [scope], ...said } satisfies AuthorizeActionRequest);
  const request = { method: "POST", path: authorizeAction.path, body } as const;
  const answer = await callApi(stage.installation, stage.at(0), agent, request);
  return { status: answer.status, body: await answer.json() };
};
const decisionOn = async (said: object) => {
  const { status, body } = await ask(said);
  expect(status).toBe(200);
  return authorizationSchema.parse(body);
};

describe("[BUD-021] what came from outside reaches no sink of high risk by an agent's", () => {
  test.each([
    ["telling so", { provenance: "untrusted" }],
    ["silence", {}],
    ["talk of other things", { sensitivity: "public", cost: { rows: 0 } }],
  ])("%s", async (_, said) => {
    expect(await decisionOn(said)).toMatchObject({ decision: "deny", rule: "no-untrusted-input" });
  });

  test.each([
    ["another spelling", { provenance: "Trusted" }],
    ["a blank behind it", { provenance: "trusted " }],
    ["a list of both", { provenance: ["untrusted", "trusted"] }],
    ["null", { provenance: null }],
    ["both words in one", { provenance: "trusted|untrusted" }],
    ["an attribute's name", { "action.provenance": "trusted" }],
    ["attributes of its own making", { attributes: { "resource.risk": "low" } }],
    ["the sink's risk", { "resource.risk": "low" }],
    ["the sink itself", { resource: { risk: "low" } }],
    ["an hour of its choosing", { context: { hour: 12 } }],
    ["an attestation", { attestation: "measured" }],
  ])("%s", async (_, said) => {
    expect(await ask(said)).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  });
});

test("[BUD-021] what a person or the organization wrote does reach it, and the ledger tells by which policy", async () => {
  for (const provenance of ["trusted", "internal"] as const) {
    expect(await decisionOn({ provenance })).toMatchObject({
      decision: "allow",
      rule: "agent-acts-delegated",
    });
  }
});

test("[BUD-020] sums and rows that are none are refused, and never decided by", async () => {
  const costs = [
    { spend: { amount: "12.505", unit: "EUR" } },
    { spend: { amount: "-1", unit: "EUR" } },
    { spend: { amount: "1e9", unit: "EUR" } },
    { spend: { amount: 12.5, unit: "EUR" } },
    { spend: { amount: "90071992547409.92", unit: "EUR" } },
    { spend: { amount: "1", unit: "eur" } },
    { spend: { amount: "1" } },
    { rows: -1 },
    { rows: 1.5 },
    { rows: "1" },
    { rows: Number.MAX_SAFE_INTEGER + 1 },
    { calls: 0 },
  ];
  for (const cost of costs) {
    const { status } = await ask({ provenance: "trusted", cost });
    expect([cost, status]).toEqual([cost, 400]);
  }
});
