import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { newEnforcer, newModelFromString } from "casbin";
import type { Decision, DecisionRequest } from "../src/domain/decision.ts";
import { conditionsOfRules } from "../src/policy/casbin.ts";
import { decide } from "../src/policy/decide.ts";
import { parsePolicy } from "../src/policy/parse-policy.ts";
import { covers } from "../src/policy/pattern.ts";
import { readShippedPolicy } from "../src/policy/policy-files.ts";
import {
  loadPolicy,
  loadRecordedPolicy,
  type PolicySnapshot,
  type PolicySource,
} from "../src/policy/snapshot.ts";
import { cpuOfThis } from "./frame/cpu.ts";
import { measureCalls, percentile } from "./frame/measure.ts";
import type { Bench, Figures, Row } from "./frame/row.ts";

const issuer = "https://id.example";
const decisions = 200_000;
const loads = 5;
const stockDecisionsByRules = new Map([
  [1_000, 200],
  [10_000, 40],
  [100_000, 10],
]);

/** What the lines of a policy say beside the six identifiers. */
interface Flavour {
  readonly name: string;
  readonly when: string;
  /** Whether two of ten lines oblige where others allow. */
  readonly obliges: boolean;
}

const plain: Flavour = { name: "policy lines", when: "*", obliges: false };
const rich: Flavour = {
  name: "policy lines with conditions, two of ten with obligations",
  when: "action.amount<=100 & context.address in 10.0.0.0/8",
  obliges: true,
};

/**
 * Measures decide() on policies of 1 k, 10 k and 100 k rules with as many role assignments, beside stock Casbin's
 * cheapest call, `enforceSync`, over the same policy, whose decisions must be the same; of obligations it tells nothing.
 * The floor is that call over a single rule: no decision is made without one. Then how the longest policy is loaded.
 */
export const bench: Bench = async () => {
  const shipped = await readShippedPolicy();
  const floor = await measureFloor(shipped.model);
  const rows: Row[] = [];
  for (const [ruleCount, stockDecisions] of stockDecisionsByRules)
    rows.push(
      ...(await benchPolicy(sourceOf(shipped, ruleCount, plain), ruleCount, stockDecisions, plain, floor)),
    );
  rows.push(...(await benchPolicy(sourceOf(shipped, 100_000, rich), 100_000, 10, rich, floor)));
  rows.push(...(await benchLoading(sourceOf(shipped, 100_000, plain))));
  return rows;
};

function sourceOf(
  shipped: Pick<PolicySource, "model" | "policy">,
  count: number,
  flavour: Flavour,
): PolicySource {
  const policy = [shipped.policy, ...makeRules(count, flavour), ...makeAssignments(count)].join("\n");
  return { model: shipped.model, policy, issuer };
}

async function benchPolicy(
  source: PolicySource,
  ruleCount: number,
  stockDecisions: number,
  { name }: Flavour,
  floor: Figures,
): Promise<Row[]> {
  const snapshot = await loadPolicy(source);
  const requests = makeRequests(ruleCount);
  const expected = requests.map((request) => decide(snapshot, request));
  const decideNext = (index: number) => {
    const request = requests[index % requests.length];
    if (request !== undefined) decide(snapshot, request);
  };
  const work = `decision, ${ruleCount / 1000} k ${name}`;
  const stock = await measureStock(source, requests.slice(0, stockDecisions), expected);
  return [
    { work, ...measureCalls(decideNext, decisions), floor, budgets: [{ of: "cpuMicros", most: 10 }] },
    { work: `${work}, stock Casbin`, ...stock },
  ];
}

/** What a policy costs to load as it was written and as it was recorded, how long the event loop stands, and what is kept. */
async function benchLoading(source: PolicySource): Promise<Row[]> {
  const { text } = await loadPolicy(source);
  const written = await measureLoads(async () => {
    const { text: _, ...kept } = await loadPolicy(source);
    return kept;
  });
  const recorded = await measureLoads(() => loadRecordedPolicy(text));
  const work = "load 100 k policy lines and as many role assignments";
  const budgets = [{ of: "cpuMicros", most: 1_000_000 } as const];
  return [
    { work, ...written.whole, budgets },
    { work: `${work}, longest standstill of each`, ...written.standstill },
    { work: `${work}, as recorded`, ...recorded.whole, budgets },
    { work: `${work}, as recorded, longest standstill of each`, ...recorded.standstill },
    {
      work: "snapshot of these, 300 bytes a policy line allowed",
      memoryMiB: written.keptMiB,
      budgets: [{ of: "memoryMiB", most: (300 * 100_000) / 2 ** 20 }],
    },
  ];
}

interface Loads {
  readonly whole: Partial<Figures>;
  readonly standstill: Partial<Figures>;
  readonly keptMiB: number;
}

async function measureLoads(load: () => Promise<PolicySnapshot>): Promise<Loads> {
  const times: number[] = [];
  const standstills: number[] = [];
  let cpuMicros = 0;
  const kept: PolicySnapshot[] = [];
  const before = heapMiB();
  for (let turn = 0; turn < loads; turn++) {
    const cpuBefore = cpuOfThis().serverMicros;
    const started = performance.now();
    const turning = watchTurns();
    kept.push(await load());
    standstills.push(turning.longestMicros());
    times.push((performance.now() - started) * 1000);
    cpuMicros += (cpuOfThis().serverMicros - cpuBefore) / loads;
  }
  const keptMiB = (heapMiB() - before) / kept.length;
  return { whole: { cpuMicros, ...middle(times) }, standstill: middle(standstills), keptMiB };
}

function middle(micros: readonly number[]): Partial<Figures> {
  const sorted = micros.toSorted((one, other) => one - other);
  return { p50Micros: percentile(sorted, 0.5), p99Micros: percentile(sorted, 0.99) };
}

/** Watches the event loop turn. */
function watchTurns(): { readonly longestMicros: () => number } {
  let longest = 0;
  let last = performance.now();
  let isDone = false;
  const turn = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    longestMicros() {
      turn();
      isDone = true;
      return longest * 1000;
    },
  };
}

/** What is kept in memory, after everything else was collected. */
function heapMiB(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 2 ** 20;
}

async function measureFloor(model: string): Promise<Figures> {
  const [request] = makeRequests(10);
  const [rule] = makeRules(1, plain);
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
  return ({ organization, subject, relation, resource, action, scope, attributes }) =>
    enforcer.enforceSync(organization, subject, relation, resource, action, scope, attributes ?? {});
}

const agent = (index: number) => `agt_01jd${String(index).padStart(22, "0")}`;
const host = (index: number) => `https://r${index % 5000}.example`;
const organizationOf = (index: number) => `org-${Math.floor(index / 10) % 10}`;
const teamOf = (index: number) => `team-${Math.floor(index / 10)}`;
const divisionOf = (index: number) => `division-${Math.floor(index / 1000)}`;

/** Of ten rules six allow an agent, one a team, one a division; one denies a team, one anybody. Two of the six may oblige. */
function makeRules(count: number, { when, obliges }: Flavour): string[] {
  return Array.from({ length: count }, (_, index) => {
    const start = `p, rule-${index}, ${organizationOf(index)}`;
    switch (obliges && index % 10 < 6 ? index % 10 : -(index % 10)) {
      case 4:
        return `${start}, ${agent(index - 4)}, direct, ${host(index - 4)}, token.issue, mail.read, ${when}, redact:body, no bodies`;
      case 5:
        return `${start}, ${teamOf(index)}, direct, ${host(index + 1)}/**, token.*, mail.*, ${when}, rate:10/60s, not too often`;
      case -6:
        return `${start}, ${teamOf(index)}, direct, ${host(index)}/**, token.*, mail.*, ${when}, allow, a team's mail`;
      case -7:
        return `${start}, ${divisionOf(index)}, *, ${host(index)}/*, token.issue, files:**, ${when}, allow, files`;
      case -8:
        return `${start}, ${teamOf(index)}, *, ${host(index - 2)}/**, *, mail.send, *, deny, a team that sends no mail`;
      case -9:
        return `${start}, *, *, ${host(index)}/${index}, *, *, *, deny, a closed mailbox`;
      default:
        return `${start}, ${agent(index)}, direct, ${host(index)}, token.issue, mail.read, ${when}, allow, an agent's mail`;
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
      attributes: { "action.amount": 50, "context.address": "10.1.2.3" },
    }));
  });
}
