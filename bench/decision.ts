import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { newEnforcer, newModelFromString } from "casbin";
import type { Decision, DecisionRequest } from "../src/domain/decision.ts";
import { conditionsOfRules } from "../src/policy/casbin.ts";
import { decide } from "../src/policy/decide.ts";
import { parsePolicy } from "../src/policy/parse-policy.ts";
import { covers } from "../src/policy/pattern.ts";
import { readShippedPolicy } from "../src/policy/policy-files.ts";
import { loadPolicy, type PolicySource } from "../src/policy/snapshot.ts";
import { measureCalls } from "./frame/measure.ts";
import type { Bench, Figures, Row } from "./frame/row.ts";

const issuer = "https://id.example";
const decisions = 200_000;
const stockDecisionsByRules = new Map([
  [1_000, 200],
  [10_000, 40],
  [100_000, 10],
]);

/**
 * Measures decide() on policies of 1 k, 10 k and 100 k rules with as many role assignments, beside stock Casbin's
 * cheapest call, `enforceSync`, over the same policy, whose decisions must be the same. The floor is that call over a
 * single rule: no decision is made without one.
 */
export const bench: Bench = async () => {
  const shipped = await readShippedPolicy();
  const floor = await measureFloor(shipped.model);
  const rows: Row[] = [];
  for (const [ruleCount, stockDecisions] of stockDecisionsByRules)
    rows.push(...(await benchPolicy(shipped, ruleCount, stockDecisions, floor)));
  return rows;
};

async function benchPolicy(
  shipped: Pick<PolicySource, "model" | "policy">,
  ruleCount: number,
  stockDecisions: number,
  floor: Figures,
): Promise<Row[]> {
  const policy = [shipped.policy, ...makeRules(ruleCount), ...makeAssignments(ruleCount)].join("\n");
  const source = { model: shipped.model, policy, issuer };
  const snapshot = await loadPolicy(source);
  const requests = makeRequests(ruleCount);
  const expected = requests.map((request) => decide(snapshot, request));
  const decideNext = (index: number) => {
    const request = requests[index % requests.length];
    if (request !== undefined) decide(snapshot, request);
  };
  const work = `decision, ${ruleCount / 1000} k policy lines`;
  const stock = await measureStock(source, requests.slice(0, stockDecisions), expected);
  return [
    { work, ...measureCalls(decideNext, decisions), floor, budgets: [{ of: "cpuMicros", most: 20 }] },
    { work: `${work}, stock Casbin`, ...stock },
  ];
}

async function measureFloor(model: string): Promise<Figures> {
  const [request] = makeRequests(10);
  const [rule] = makeRules(1);
  if (request === undefined || rule === undefined) throw new Error("there is nothing to decide");
  const enforce = await stockEnforce({ model, policy: rule, issuer });
  return measureCalls(() => {
    if (!enforce(request)) throw new Error("the floor's rule does not allow");
  }, decisions);
}

/** Figures of stock decisions over the same policy. */
async function measureStock(
  source: PolicySource,
  requests: readonly DecisionRequest[],
  expected: readonly Decision[],
): Promise<Figures> {
  const enforce = await stockEnforce(source);
  return measureCalls((index) => {
    const place = index % requests.length;
    const request = requests[place];
    if (request === undefined || enforce(request) !== (expected[place]?.effect === "allow"))
      throw new Error(`request ${place}: stock Casbin differs`);
  }, requests.length);
}

/** Stock Casbin on a policy. Its rows are laid into the model as they are: the CSV reader is not measured. */
async function stockEnforce(source: PolicySource): Promise<(request: DecisionRequest) => boolean> {
  const { rules, roles } = parsePolicy(source.policy, source.issuer);
  const model = newModelFromString(source.model);
  const policy = model.model.get("p")?.get("p");
  const grouping = model.model.get("g")?.get("g");
  if (policy === undefined || grouping === undefined) throw new Error("the model lacks a definition");
  policy.policy = [...rules];
  grouping.policy = roles.map(({ user, role, domain }) => [user, role, domain]);
  const enforcer = await newEnforcer(model);
  await enforcer.addFunction("covers", covers);
  await enforcer.addFunction("holds", conditionsOfRules());
  await enforcer.buildRoleLinks();
  return ({ organization, subject, relation, resource, action, scope }) =>
    enforcer.enforceSync(organization, subject, relation, resource, action, scope, {});
}

const agent = (index: number) => `agt_01jd${String(index).padStart(22, "0")}`;
const host = (index: number) => `https://r${index % 5000}.example`;
const organizationOf = (index: number) => `org-${Math.floor(index / 10) % 10}`;
const teamOf = (index: number) => `team-${Math.floor(index / 10)}`;
const divisionOf = (index: number) => `division-${Math.floor(index / 1000)}`;

/** Of ten rules six allow an agent, one a team, one a division; one denies a team, one anybody. */
function makeRules(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const start = `p, rule-${index}, ${organizationOf(index)}`;
    switch (index % 10) {
      case 6:
        return `${start}, ${teamOf(index)}, direct, ${host(index)}/**, token.*, mail.*, *, allow, a team's mail`;
      case 7:
        return `${start}, ${divisionOf(index)}, *, ${host(index)}/*, token.issue, files:**, *, allow, files`;
      case 8:
        return `${start}, ${teamOf(index)}, *, ${host(index - 2)}/**, *, mail.send, *, deny, a team that sends no mail`;
      case 9:
        return `${start}, *, *, ${host(index)}/${index}, *, *, *, deny, a closed mailbox`;
      default:
        return `${start}, ${agent(index)}, direct, ${host(index)}, token.issue, mail.read, *, allow, an agent's mail`;
    }
  });
}

/** Of ten assignments nine put an agent in a team, and one a team in a division. */
function makeAssignments(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const [user, role] =
      index % 10 === 9 ? [teamOf(index), divisionOf(index)] : [agent(index), teamOf(index)];
    return `g, ${user}, ${role}, ${organizationOf(index)}`;
  });
}

/** In equal parts: allowed to an agent, a team, a division; allowed but denied to a team; denied to all; unmatched. */
function makeRequests(ruleCount: number): DecisionRequest[] {
  const kinds = [
    { offset: 0, path: "", scope: "mail.read" },
    { offset: 6, path: "/in/box", scope: "mail.read" },
    { offset: 7, path: "/inbox", scope: "files:inbox:read" },
    { offset: 6, path: "/in/box", scope: "mail.send" },
    { offset: 9, path: "/<index>", scope: "mail.read" },
    { offset: 0, path: "", scope: "calendar.read" },
  ];
  return Array.from({ length: 700 }, () => kinds).flatMap((round, turn) => {
    const block = Math.floor(((turn * 7919) % ruleCount) / 10) * 10;
    const organization = parseOrganizationId(organizationOf(block));
    if (organization === undefined) throw new Error("an organization's id is malformed");
    return round.map(({ offset, path, scope }) => ({
      organization,
      subject: agent(block + (offset === 9 ? 0 : offset)),
      roles: ["agent", "kind:worker"],
      relation: "direct" as const,
      resource: host(block + offset) + path.replace("<index>", String(block + offset)),
      action: "token.issue" as const,
      scope,
    }));
  });
}
