import { randomBytes } from "node:crypto";
import { agentChecksum } from "@countersign/sdk/model/agent-configuration";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MatchedEntry } from "../../src/domain/svid-holder.ts";
import { approveChecksum } from "../../src/journeys/agent/approve-checksum.ts";
import type { ChecksumDeps } from "../../src/journeys/agent/checksum-approval.ts";
import { declareConfiguration } from "../../src/journeys/agent/declare-configuration.ts";
import { withdrawChecksum } from "../../src/journeys/agent/withdraw-checksum.ts";
import { createEntry } from "../../src/journeys/entry/create.ts";
import { record } from "../../src/journeys/record/record.ts";
import { svidBasis } from "../../src/journeys/svid/svid-grounds.ts";
import { findChecksum, listChecksums } from "../../src/store/agent-checksums.ts";
import { context, organization } from "../journeys/server-process.ts";
import { type AgentPrincipal, openWorld, type World } from "../journeys/world.ts";

let world: World;
let deps: World["deps"] & ChecksumDeps;
beforeAll(async () => {
  world = await openWorld();
  deps = { ...world.deps, findChecksum: (of, wanted) => findChecksum(world.db, of, wanted) };
});
afterAll(() => world.close());

const hex = () => randomBytes(32).toString("hex");
const aConfiguration = () => ({ model: "model-1", prompt_sha256: hex(), tools_sha256: hex() });
const aChecksum = () => agentChecksum(aConfiguration());
type Checksum = ReturnType<typeof aChecksum>;

async function anEntry(agent: AgentPrincipal): Promise<MatchedEntry> {
  const entry = await createEntry(world.deps, {
    caller: world.operator,
    agent: agent.id,
    parent: undefined,
    selectors: ["unix:uid:1"],
    x509TtlSeconds: 3600,
    jwtTtlSeconds: 300,
    dnsNames: [],
    hint: undefined,
    federatesWith: [],
    context,
  });
  return { ...entry, checksum: undefined };
}

/** As much of an issuance as comes before the signature. */
async function issue(entry: MatchedEntry, checksum?: Checksum): Promise<unknown> {
  const matched = { ...entry, checksum };
  const grounds = { entry: matched, node: undefined, context } as const;
  const { trail, conditions } = await svidBasis(world.deps, grounds);
  return commit(trail, conditions);
}
const isWithdrawal = ({ type }: { readonly type: string }) => type === "checksum.withdrawn";
type Basis = Awaited<ReturnType<typeof svidBasis>>;
const commit = (trail: Basis["trail"], conditions: Basis["conditions"]) =>
  record(world.deps, {
    type: "svid.issued",
    refusedAs: "svid.refused",
    trail,
    writes: [],
    conditions,
    demands: undefined,
  });

const by = (agent: AgentPrincipal, checksum: Checksum) => ({
  caller: world.operator,
  agent: agent.id,
  checksum,
  context,
});
const approve = (agent: AgentPrincipal, checksum: Checksum) => approveChecksum(deps, by(agent, checksum));
const withdraw = (agent: AgentPrincipal, checksum: Checksum) => withdrawChecksum(deps, by(agent, checksum));
const refused = { code: "not_attested" };

describe("[CHK-003] an agent", () => {
  test("that never had a configuration approved gets SVIDs with any, or none", async () => {
    const entry = await anEntry(await world.agent(world.alice));
    await issue(entry);
    await issue(entry, aChecksum());
  });

  test("that had one approved gets SVIDs with that alone, and each refusal names what was measured", async () => {
    const agent = await world.agent(world.alice);
    const entry = await anEntry(agent);
    const [own, foreign] = [aChecksum(), aChecksum()];
    const bobs = await world.agent(world.alice);
    await approve(bobs, foreign);
    await approve(agent, own);
    await issue(entry, own);
    await expect(issue(entry, foreign)).rejects.toMatchObject(refused);
    expect((await world.entries()).at(-1)).toMatchObject({
      type: "svid.refused",
      agent: agent.id,
      owner: world.alice,
      refusal: { code: "not_attested", reason: `not ${agent.id} with checksum ${foreign} approved` },
    });
    await expect(issue(entry)).rejects.toMatchObject(refused);
    expect((await world.entries()).at(-1)?.refusal?.reason).toBe(
      `not ${agent.id} with a checksum that was measured`,
    );
  });

  test("whose last one was withdrawn gets none, until it is approved again", async () => {
    const agent = await world.agent(world.alice);
    const entry = await anEntry(agent);
    const checksum = aChecksum();
    await approve(agent, checksum);
    await withdraw(agent, checksum);
    await expect(issue(entry, checksum)).rejects.toMatchObject(refused);
    await expect(issue(entry)).rejects.toMatchObject(refused);
    const held = async () => (await listChecksums(world.db, organization, agent.id, { limit: 10 }))[0];
    const withdrawnAtMs = Date.parse((await world.entries()).findLast(isWithdrawal)?.time ?? "");
    expect(await held()).toMatchObject({ checksum, status: "withdrawn", withdrawnAtMs });
    world.clock.nowMs += 1_000;
    await approve(agent, checksum);
    await issue(entry, checksum);
    expect(await held()).toMatchObject({ checksum, status: "approved" });
    expect(await held()).not.toHaveProperty("withdrawnAtMs");
  });

  test("is decided on by the commit: what was withdrawn, or approved first, after it was matched counts", async () => {
    const agent = await world.agent(world.alice);
    const entry = await anEntry(agent);
    const checksum = aChecksum();
    const without = { entry, node: undefined, context } as const;
    const before = await svidBasis(world.deps, without);
    await approve(agent, checksum);
    await expect(commit(before.trail, before.conditions)).rejects.toMatchObject(refused);
    const matched = await svidBasis(world.deps, { ...without, entry: { ...entry, checksum } });
    await withdraw(agent, checksum);
    await expect(commit(matched.trail, matched.conditions)).rejects.toMatchObject(refused);
  });

  test("that is asked for at once with a change is decided on in the order of the ledger", async () => {
    const agent = await world.agent(world.alice);
    const entry = await anEntry(agent);
    const checksum = aChecksum();
    const basis = await svidBasis(world.deps, { entry: { ...entry, checksum }, node: undefined, context });
    await approve(agent, checksum);
    const size = (await world.entries()).length;
    const many = () => Array.from({ length: 5 }, () => commit(basis.trail, basis.conditions));
    const withdrawn = withdraw(agent, checksum);
    await Promise.allSettled([...many(), withdrawn, ...many()]);
    const types = (await world.entries()).slice(size).map(({ type }) => type);
    const end = types.indexOf("checksum.withdrawn");
    expect(end).toBeGreaterThanOrEqual(0);
    expect(types.slice(0, end)).not.toContain("svid.refused");
    expect(types.slice(end)).not.toContain("svid.issued");
  });
});

describe("[CHK-007] a configuration", () => {
  test("is approved once and withdrawn once, by an operator who asserts it for the owner", async () => {
    const agent = await world.agent(world.alice);
    const checksum = aChecksum();
    await expect(withdraw(agent, checksum)).rejects.toMatchObject({ code: "not_found" });
    await approve(agent, checksum);
    const told = {
      actor: { kind: "operator", id: world.operator.id },
      asserted_by: world.operator.id,
      target: { kind: "agent", id: agent.id },
      owner: world.alice,
      detail: { checksum },
    };
    expect((await world.entries()).at(-1)).toMatchObject({ type: "checksum.approved", ...told });
    await expect(approve(agent, checksum)).rejects.toMatchObject({ code: "conflict" });
    await withdraw(agent, checksum);
    expect((await world.entries()).at(-1)).toMatchObject({ type: "checksum.withdrawn", ...told });
    await expect(withdraw(agent, checksum)).rejects.toMatchObject({ code: "conflict" });
  });

  test("that two approve or withdraw at once is approved and withdrawn once", async () => {
    const agent = await world.agent(world.alice);
    const checksum = aChecksum();
    const ends = async (...both: Promise<unknown>[]) =>
      (await Promise.allSettled(both)).map(({ status }) => status).sort();
    const once = ["fulfilled", "rejected"];
    expect(await ends(approve(agent, checksum), approve(agent, checksum))).toEqual(once);
    expect(await ends(withdraw(agent, checksum), withdraw(agent, checksum))).toEqual(once);
    expect(await ends(approve(agent, checksum), approve(agent, checksum))).toEqual(once);
  });

  test("is nothing that an agent approves, nor of an agent that is retired, unknown or another organization's", async () => {
    const agent = await world.agent(world.alice);
    const checksum = aChecksum();
    for (const change of [approveChecksum, withdrawChecksum]) {
      const own = change(deps, { ...by(agent, checksum), caller: agent });
      await expect(own).rejects.toMatchObject({ code: "not_authorized" });
    }
    const rival = await world.makeOrganization("checksums");
    await expect(approveChecksum(deps, { ...by(agent, checksum), caller: rival })).rejects.toMatchObject({
      code: "not_found",
    });
    await world.setStatus(agent, "retired");
    await expect(approve(agent, checksum)).rejects.toMatchObject({ code: "subject_not_active" });
    expect(await listChecksums(world.db, organization, agent.id, { limit: 10 })).toEqual([]);
  });
});

describe("[CHK-002] what an agent declares", () => {
  const declare = (caller: AgentPrincipal, agent = caller, configuration = aConfiguration()) =>
    declareConfiguration(world.deps, { caller, agent: agent.id, configuration, context });

  test("is recorded by its checksum alone, as its own word", async () => {
    const agent = await world.agent(world.alice);
    const configuration = aConfiguration();
    const { checksum } = await declare(agent, agent, configuration);
    const entry = (await world.entries()).at(-1);
    expect(entry).toMatchObject({
      type: "agent.configured",
      agent: agent.id,
      owner: world.alice,
      attestation: "declared",
      detail: { checksum },
    });
    for (const hash of [configuration.prompt_sha256, configuration.tools_sha256, configuration.model])
      expect(JSON.stringify(entry)).not.toContain(hash);
  });

  test("neither lets it have SVIDs nor keeps it from them", async () => {
    const agent = await world.agent(world.alice);
    const entry = await anEntry(agent);
    await declare(agent);
    await issue(entry);
    const configuration = aConfiguration();
    const checksum = agentChecksum(configuration);
    await approve(agent, checksum);
    await declare(agent, agent, configuration);
    await expect(issue(entry)).rejects.toMatchObject(refused);
    await declare(agent);
    await issue(entry, checksum);
  });

  test("of another is refused as if that one were not there", async () => {
    const [agent, other] = [await world.agent(world.alice), await world.agent(world.alice)];
    await expect(declare(agent, other)).rejects.toMatchObject({ code: "not_found" });
    expect((await world.entries()).at(-1)).toMatchObject({ type: "mutation.refused", agent: agent.id });
  });
});
