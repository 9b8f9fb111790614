import { parseAudience } from "@countersign/sdk/model/audience";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ExplainDecisionRequest, explainDecision } from "../../src/journeys/policy/explain.ts";
import { explain } from "../../src/policy/explain.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { issuer, mail, must } from "../journeys/server-process.ts";
import { type AgentPrincipal, errorOf, openWorld, type World } from "../journeys/world.ts";
import { baseRequest } from "../policy/base-request.ts";
import { policyOf } from "../policy/recorded.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const resource = must(parseAudience(mail));

async function explained(agent: AgentPrincipal, change: Partial<ExplainDecisionRequest> = {}) {
  const snapshot = await loadPolicy({ ...(await readShippedPolicy()), issuer });
  const asked = { caller: world.operator, agent: agent.id, resource, scope: "mail.read" } as const;
  const deps = { ...world.deps, currentPolicy: () => snapshot };
  return explainDecision(deps, { ...asked, action: "token.exchange", ...change });
}

test("[POL-035] nobody learns of another organization, or of another agent by its delegation", async () => {
  const [agent, other] = [await world.agent(world.alice), await world.agent(world.alice)];
  const delegation = await world.grant(world.alice, other);
  expect((await errorOf(explained(agent, { delegation }))).code).toBe("not_found");
  const foreign = await world.makeOrganization("explained");
  expect((await errorOf(explained(other, { caller: foreign }))).code).toBe("not_found");
  const unknown = must(parseAudience("https://nowhere.example"));
  expect((await errorOf(explained(other, { resource: unknown }))).code).toBe("not_found");
});

test("[POL-035] no line of another organization is told of", async () => {
  const lines = [
    "p, theirs, globex, agent, *, *, *, *, *, allow, theirs",
    "p, theirs-too, globex, agent, *, *, *, *, *, needs_approval, theirs",
    "p, ours, acme, agent, direct, *, *, *, *, allow, ours",
  ];
  const told = explain(await policyOf(...lines), baseRequest);
  expect(JSON.stringify(told)).not.toContain("theirs");
  expect(told.nearest).toMatchObject([{ rule: "ours" }]);
});
