import { beforeAll, expect, test } from "vitest";
import { until } from "../server.ts";
import { run } from "./cli.ts";
import { type AgentWithFile, serveCommands } from "./served-commands.ts";

const audience = "https://files.example";
const { server, alice, answer, told, refusal, makeAgent } = await serveCommands();
let bob: string;
let first: AgentWithFile;
let second: AgentWithFile;
let root: string;
let child: string;

beforeAll(async () => {
  bob = (await answer("user", "create", "--name", "Bob")).id;
  first = await makeAgent("first", "--kind", "manager");
  second = await makeAgent("second", "--expires", "30d");
  await answer("resource", "create", "--audience", audience, "--scope", "r", "--owner", alice);
  root = (await delegate("--from", alice, "--to", first.id, "--max-depth", "1")).id;
  child = (await delegate("--from", root, "--key", first.file, "--to", second.id)).id;
});

/** A refusal in words. */
async function refusalText(...words: string[]): Promise<string> {
  const { exit, err } = await run(words, server.environment);
  expect(exit).toBe(1);
  return err;
}

const delegate = (...words: string[]) => answer("delegate", "--resource", audience, "--scope", "r", ...words);
const redeem = (agent: { file: string }, delegation: string) =>
  ["token", "--key", agent.file, "--delegation", delegation, "--resource", audience, "--scope", "r"] as const;

test("[REG-001] `agent list` says which agents there are and whose, in pages and by owner, kind and status", async () => {
  const listed = await answer("agent", "list", "--owner", alice);
  expect(listed.items.map(({ id }: { id: string }) => id)).toEqual([first.id, second.id].sort());
  const page = await answer("agent", "list", "--limit", "1");
  expect(page).toMatchObject({ items: [{ id: first.id }], next: first.id });
  expect((await answer("agent", "list", "--cursor", page.next)).items).toMatchObject([{ id: second.id }]);
  expect((await answer("agent", "list", "--kind", "manager", "--status", "active")).items).toHaveLength(1);
  expect(await told("agent", "list", "--limit", "1")).toMatch(
    new RegExp(`^${first.id}  active  manager  ${alice}  first\nmore: --cursor ${first.id}$`),
  );
  expect(await told("agent", "list", "--owner", bob)).toBe("none");
  expect((await run(["agent", "list", "--status", "gone"], server.environment)).exit).toBe(2);
});

test("[REG-001] `agent show`, `user`, `resource` and `delegation list` and `show` answer with one thing or all", async () => {
  const shown = await answer("agent", "show", second.id);
  expect(shown).toMatchObject({ owner: alice, status: "active", delegations: { held: 1, given: 0 } });
  expect(shown.keys).toHaveLength(1);
  const days = (Date.parse(shown.expires_at) - Date.parse(shown.created_at)) / 86_400_000;
  expect(days).toBeCloseTo(30, 1);
  expect(await told("agent", "show", first.id)).toMatch(/^expires +never$/m);
  expect((await answer("user", "list")).items).toMatchObject([{ id: alice }, { id: bob }]);
  expect(await told("user", "show", bob)).toMatch(/^name +Bob$/m);
  const resources = (await answer("resource", "list")).items;
  const files = resources.find((one: { audience: string }) => one.audience === audience);
  expect(await told("resource", "show", files.id)).toMatch(/^scope +r$/m);
  const held = await answer("delegation", "list", "--agent", second.id);
  expect(held.items).toMatchObject([{ id: child, grantor_agent: first.id, status: "active" }]);
  expect((await answer("delegation", "list")).items).toHaveLength(2);
  expect(await told("delegation", "show", child)).toContain(`${root} > ${child}`);
  expect(await refusal("agent", "show", "agt_01arz3ndektsv4rrffq69g5fav")).toBe("not_found");
});

test("[REG-002] `agent access` says what an agent may do and why", async () => {
  const { items, status } = await answer("agent", "access", second.id);
  expect(status).toBe("active");
  expect(items[0]).toMatchObject({
    by: "delegation",
    delegation: { id: child, resource: audience, scope: ["r"] },
    budget_left: {},
    grantors: [{ user: alice }, { agent: first.id, owner: alice, delegation: root }],
    scopes: [{ scope: "r", effect: "allow", rule: "agent-exchanges-delegated" }],
  });
  const direct = [
    { scope: "delegate", rule: "agent-delegates" },
    { scope: "report", rule: "agent-reports" },
  ];
  expect(items[1]).toMatchObject({ by: "policy", scopes: direct });
  const text = await told("agent", "access", second.id);
  expect(text).toContain(`${child}  on ${audience}, from ${alice} > ${first.id}, until `);
  expect(text).toMatch(/^ +r +allow +agent-exchanges-delegated +An agent may redeem/m);
});

test("[REG-003] `agent history` says what an agent did, once a checkpoint covers it", async () => {
  const { ledger } = await answer(...redeem(second, child));
  await until("a checkpoint", async () => (await answer("agent", "history", second.id)).as_of > ledger.index);
  const history = await answer("agent", "history", second.id, "--limit", "1");
  expect(history).toMatchObject({
    log: "default",
    items: [{ index: ledger.index, entry: { type: "token.issued", agent: second.id, delegation: child } }],
    next: ledger.index,
  });
  expect(await told("agent", "history", second.id)).toContain(`${ledger.index}  `);
  const before = await answer("agent", "history", second.id, "--before", String(ledger.index));
  expect(before.items.every(({ index }: { index: number }) => index < ledger.index)).toBe(true);
});

test("[AGT-004] [DEL-011] `agent transfer` rests what was delegated, until `delegation consent` by who gave it", async () => {
  expect(await answer("agent", "transfer", first.id, "--to", bob)).toMatchObject({
    owner: bob,
    status: "active",
  });
  await answer("agent", "transfer", second.id, "--to", bob);
  expect(await refusal(...redeem(first, root))).toBe("invalid_request");
  expect(await refusal(...redeem(second, child))).toBe("invalid_request");
  expect(await told("delegation", "show", root)).toMatch(
    /^status +inactive: .* rests until it is consented to again/m,
  );
  expect(await told("delegation", "show", root)).toMatch(
    new RegExp(`^to let it hold +countersign delegation consent ${root}$`, "m"),
  );
  expect(await refusalText("delegation", "consent", child)).toBe(
    `countersign: refused (not_authorized): ${first.id} passed it on: it takes that agent's consent, under its own token: --key FILE names that agent's key file`,
  );
  // A token says its time in whole seconds: in the one in which the transfer fell none is issued.
  const strangers = () => refusal("delegation", "consent", root, "--key", second.file);
  await until("the next second", async () => (await strangers()) !== "invalid_request");
  expect(await strangers()).toBe("not_found");
  expect(await answer("delegation", "consent", root)).toMatchObject({ id: root, status: "active" });
  expect(await told("delegation", "show", child)).toMatch(
    new RegExp(`^to let it hold +countersign delegation consent ${child} --key FILE$`, "m"),
  );
  expect(await told("delegation", "consent", child, "--key", first.file)).toMatch(
    new RegExp(`^delegation ${child} is active\\nrecorded: log default, entry \\d+$`),
  );
  await answer(...redeem(second, child));
});

test("[USR-001] [USR-002] `user offboard` ends what rests on a person, and `agent list` says why", async () => {
  const receipt = await answer("user", "offboard", bob);
  expect(receipt).toMatchObject({
    revoked: { kind: "user", id: bob },
    counts: { delegations: 2, agents: 2 },
  });
  const inactive = await answer("agent", "list", "--status", "inactive");
  expect(inactive.items).toMatchObject([
    { id: first.id, status: "inactive", status_reason: `${bob} is offboarded` },
    { id: second.id, status: "inactive" },
  ]);
  expect(await told("agent", "access", first.id)).toContain("may do nothing");
  expect(await refusal(...redeem(first, root))).not.toBe("");
  expect(await refusal("user", "offboard", bob)).toBe("conflict");
  const grant = ["--from", alice, "--to", first.id, "--resource", audience, "--scope", "r"];
  expect(await refusalText("delegate", ...grant)).toBe(
    `countersign: refused (subject_not_active): a party to this is not active: ${bob} is offboarded`,
  );
  expect(await answer("agent", "transfer", first.id, "--to", alice)).toMatchObject({ status: "active" });
});
