import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { getAgentAccess } from "@countersign/sdk/contract/agent-access";
import { getAgentHistory } from "@countersign/sdk/contract/agent-history";
import { createAgent, getAgent, retireAgent, suspendAgent } from "@countersign/sdk/contract/agents";
import { getClient, setClient } from "@countersign/sdk/contract/clients";
import { createDelegation, getDelegation, revokeDelegation } from "@countersign/sdk/contract/delegations";
import { thingOf } from "@countersign/sdk/contract/operation";
import { operations } from "@countersign/sdk/contract/operations";
import { createOperator } from "@countersign/sdk/contract/operators";
import { createResource } from "@countersign/sdk/contract/resources";
import { rotateSigningKeys } from "@countersign/sdk/contract/signing-keys";
import { revokeToken } from "@countersign/sdk/contract/tokens";
import { createUser } from "@countersign/sdk/contract/users";
import { expect, test } from "vitest";
import { expectDescribed } from "../described.ts";
import { makeInstallation } from "../server.ts";

test("[API-001] what a real server answers is what its document says, refusals as well", async () => {
  const installation = await makeInstallation();
  const server = await installation.startServer();
  // Its requests go through `expectDescribed`.
  const operator = await installation.operatorAt(server);
  const { id: alice } = await operator.perform(createUser, { body: { name: "Alice", email: "a@b.example" } });
  const jwk = async () => (await makeKeyPair()).publicJwk;
  const agent = await operator.perform(createAgent, { body: { owner: alice, name: "a", jwk: await jwk() } });
  const audience = "https://mail.example/";
  await operator.perform(createResource, { body: { audience, scope: ["read"], owner: alice } });
  await operator.perform(createOperator, { body: { name: "Bob", jwk: await jwk() } });
  const details = [{ type: "tool_call", server: "mail", tools: ["read"] }];
  const grant = { from_user: alice, to_agent: agent.id, resource: audience, scope: ["read"] };
  const { id } = await operator.perform(createDelegation, {
    body: { ...grant, authorization_details: details, budget: { tokens: 3 } },
  });
  const wide = operator.perform(createDelegation, { body: { ...grant, scope: ["write"] } });
  await expect(wide).rejects.toMatchObject({ status: 400, code: "invalid_scope" });
  const client = { params: { id: agent.id } };
  await operator.perform(setClient, {
    ...client,
    body: { compat: true, token_endpoint_auth_method: "client_secret_basic" },
  });
  await operator.perform(getClient, client);
  await operator.perform(getAgent, client);
  await operator.perform(getAgentAccess, client);
  await operator.perform(getAgentHistory, client);
  await operator.perform(getDelegation, { params: { id } });
  await operator.perform(revokeDelegation, { params: { id } });
  await operator.perform(suspendAgent, { params: { id: agent.id } });
  await operator.perform(retireAgent, { params: { id: agent.id } });
  await operator.perform(revokeToken, { params: { id: "tok_01arz3ndektsv4rrffq69g5fav" } });
  await operator.perform(rotateSigningKeys, { body: {} });

  // Every list and every state, with whatever is there now.
  const reads = operations.filter((one) => one.method === "get" && thingOf(one) === undefined);
  expect(reads.length).toBeGreaterThan(5);
  for (const { path, anyOf } of reads)
    await operator.fetchRaw({ method: "GET", path, scope: anyOf[0] ?? "admin" });

  await expect(operator.perform(suspendAgent, { params: { id: agent.id } })).rejects.toMatchObject({
    code: "conflict",
  });
  await expect(operator.perform(createUser, { body: { name: "" } })).rejects.toMatchObject({ status: 400 });
});

test("an answer that the document does not have is found", async () => {
  const json = (body: unknown, status = 200) => Response.json(body, { status });
  await expect(expectDescribed("GET", "/v1/users/x", json({ id: "x" }))).rejects.toThrow(
    "must have required",
  );
  await expect(expectDescribed("GET", "/v1/users/x", json({}, 418))).rejects.toThrow("not described");
  const problem = { type: "t", title: "t", status: 404, code: "conflict" };
  const refusal = Response.json(problem, {
    status: 404,
    headers: { "content-type": "application/problem+json" },
  });
  await expect(expectDescribed("GET", "/v1/users/x", refusal)).rejects.toThrow("allowed values");
});
