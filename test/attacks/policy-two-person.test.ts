import { randomBytes } from "node:crypto";
import type { Client } from "@countersign/sdk/client/client";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signPolicyApplication } from "@countersign/sdk/client/policies";
import { createOperator } from "@countersign/sdk/contract/operators";
import { applyPolicy, getPolicy, listPolicies } from "@countersign/sdk/contract/policies";
import {
  approvePolicy,
  getPolicyProposal,
  listPolicyProposals,
  proposePolicy,
  withdrawPolicy,
} from "@countersign/sdk/contract/policy-proposals";
import { type ProposalId, parseOrganizationId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { type Installation, makeInstallation, type Party, type ServerProcess } from "../server.ts";

// A policy that is marked so is followed by what two operators signed: one of them tries alone.
type Signer = Omit<Party, "id">;
const removals: (() => Promise<void>)[] = [];
let installation: Installation;
let server: ServerProcess;
let alice: Signer;
let bob: Signer;
let carol: Signer;
beforeAll(async () => {
  installation = await makeInstallation({}, (remove) => removals.push(remove));
  server = await installation.startServer();
  alice = await installation.operatorKey();
  [bob, carol] = [await newOperator(), await newOperator()];
  const { hash } = await current();
  await apply(alice, `${shipped}\n${mark}`, hash);
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const { model, policy: shipped } = await readShippedPolicy();
const organization = parseOrganizationId("default") ?? expect.unreachable();
const mark = "m, two-person";
let roles = 0;
/** A policy that nobody has proposed yet. */
const next = () => `${shipped}\n${mark}\ng, usr_01k9, reader-${++roles}, *`;
const at = (signer: Signer): Client => installation.clientAt(server, signer);
const current = () => at(alice).perform(getPolicy, { params: { number: "current" } });
const refusal = (error: unknown) => error;

async function newOperator(): Promise<Signer> {
  const { publicJwk, privateJwk: key } = await makeKeyPair();
  const made = await at(alice).perform(createOperator, { body: { name: "Bob", jwk: publicJwk } });
  return { clientId: made.client_id, key };
}

async function sign(by: Signer, source: string, previous: string, proposal?: ProposalId): Promise<string> {
  const { hash: policy } = await loadPolicy({ model, policy: source, issuer: installation.issuer });
  const identity = { issuer: installation.issuer, clientId: by.clientId, key: by.key };
  const signed = { organization, policy, previous, ...(proposal && { proposal }) };
  return signPolicyApplication({ now: Date.now, randomBytes }, identity, signed);
}

const apply = async (by: Signer, source: string, previous: string) =>
  at(by).perform(applyPolicy, { body: { source, signature: await sign(by, source, previous) } });

async function propose(by: Signer, source = next()) {
  const { hash } = await current();
  const body = { source, signature: await sign(by, source, hash) };
  return { ...(await at(by).perform(proposePolicy, { body })), source };
}
type Proposal = Awaited<ReturnType<typeof propose>>;

const approve = (by: Signer, { id }: Pick<Proposal, "id">, signature: string) =>
  at(by).perform(approvePolicy, { params: { id }, body: { signature } });
const signApproval = (by: Signer, { id, source, previous }: Proposal) => sign(by, source, previous, id);
const withdraw = (by: Signer, { id }: Pick<Proposal, "id">) =>
  at(by).perform(withdrawPolicy, { params: { id } });
const statusOf = async ({ id }: Pick<Proposal, "id">) =>
  (await at(alice).perform(getPolicyProposal, { params: { id } })).status;

/** What is tried leaves the policy in force, and the proposal where it was. */
async function refused(proposal: Proposal, trying: () => Promise<unknown>): Promise<unknown> {
  const before = await current();
  const answer = await trying().catch(refusal);
  expect(await current()).toEqual(before);
  expect(await statusOf(proposal)).toBe("open");
  await withdraw(alice, proposal);
  return answer;
}

describe("[POL-052] a policy that is marked two-person is followed by", () => {
  test("what one operator proposed and another approved, whose both signatures are kept", async () => {
    const before = await current();
    expect(before.two_person).toBe(true);
    const proposal = await propose(alice);
    expect(await current()).toEqual(before);
    const signature = await signApproval(bob, proposal);
    const applied = await approve(bob, proposal, signature);
    const [by, second] = [alice, bob].map(({ clientId }) => clientId.split("/").at(-1));
    expect(await current()).toMatchObject({
      ...{ number: before.number + 1, hash: proposal.hash, source: proposal.source },
      ...{ applied_by: by, signature: proposal.signature, approved_by: second, approval: signature },
    });
    expect(applied.ledger.log).toBe("default");
    expect(await statusOf(proposal)).toBe("approved");
  });

  test("nothing that one operator applies, without the mark too, and nothing older", async () => {
    const { hash, number } = await current();
    for (const source of [next(), shipped])
      expect(await apply(alice, source, hash).catch(refusal)).toMatchObject({ code: "conflict" });
    expect(await current()).toMatchObject({ hash, number });
    const { err } = await installation.run("policy", "rollback", "1");
    expect(err).toBe("");
    const { items } = await at(alice).perform(listPolicyProposals, { query: { limit: 200 } });
    const last = items.at(-1) ?? expect.unreachable();
    expect([last.status, (await current()).number]).toEqual(["open", number]);
    await withdraw(alice, last);
  });

  test("nothing that its proposer approves", async () => {
    const proposal = await propose(alice);
    const answer = await refused(proposal, async () =>
      approve(alice, proposal, await signApproval(alice, proposal)),
    );
    expect(answer).toMatchObject({ code: "not_authorized" });
  });

  test("nothing that an operator approves who was made since it was proposed", async () => {
    const proposal = await propose(alice);
    const puppet = await newOperator();
    const answer = await refused(proposal, async () =>
      approve(puppet, proposal, await signApproval(puppet, proposal)),
    );
    expect(answer).toMatchObject({ code: "not_authorized" });
  });

  test("nothing by another's signature, of other lines, of another proposal, or of an application", async () => {
    const { hash } = await current();
    const other = await propose(carol);
    for (const forge of [
      (proposal: Proposal) => signApproval(alice, proposal),
      (proposal: Proposal) => signApproval(bob, { ...proposal, source: next() }),
      (proposal: Proposal) => signApproval(bob, { ...proposal, id: other.id }),
      ({ source }: Proposal) => sign(bob, source, hash),
    ]) {
      const proposal = await propose(alice);
      const answer = await refused(proposal, async () => approve(bob, proposal, await forge(proposal)));
      expect(answer).toMatchObject({ code: "not_authorized" });
    }
    const proposal = await propose(alice);
    const signature = await signApproval(bob, proposal);
    const applying = () => at(bob).perform(applyPolicy, { body: { source: proposal.source, signature } });
    expect(await refused(proposal, applying)).toMatchObject({ code: "not_authorized" });
    await withdraw(carol, other);
  });

  test("nothing that was withdrawn, and nothing twice", async () => {
    const dropped = await propose(alice);
    const late = await signApproval(bob, dropped);
    await withdraw(carol, dropped);
    expect(await approve(bob, dropped, late).catch(refusal)).toMatchObject({ code: "conflict" });
    expect(await withdraw(alice, dropped).catch(refusal)).toMatchObject({ code: "conflict" });

    const proposal = await propose(alice);
    const signature = await signApproval(bob, proposal);
    await approve(bob, proposal, signature);
    const { number } = await current();
    expect(await approve(bob, proposal, signature).catch(refusal)).toMatchObject({ code: "conflict" });
    expect(await current()).toMatchObject({ number });
  });

  test("one of two that are approved at once, by the one approval that came first", async () => {
    const before = await current();
    const proposals = [await propose(alice), await propose(bob)] as const;
    const [one, two] = proposals;
    const attempts = [
      { by: bob, of: one },
      { by: carol, of: one },
      { by: alice, of: two },
      { by: carol, of: two },
    ];
    const signed = await Promise.all(
      attempts.map(async ({ by, of }) => ({ by, of, signature: await signApproval(by, of) })),
    );
    const answers = await Promise.allSettled(
      signed.map(({ by, of, signature }) => approve(by, of, signature)),
    );
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await current()).number).toBe(before.number + 1);
    expect((await Promise.all(proposals.map(statusOf))).sort()).toEqual(["approved", "over"]);
    const { items } = await at(alice).perform(listPolicies, { query: { limit: 200 } });
    expect(items.filter(({ number }) => number === before.number + 1)).toHaveLength(1);
  });

  test("nothing whose proposer is no operator any more, or whose proposer's key was taken away", async () => {
    const id = carol.clientId.split("/").at(-1);
    for (const [table, of, gone, back] of [
      ["operator", "id", "retired", "active"],
      ["credential", "principal_id", "revoked", "active"],
    ]) {
      const proposal = await propose(carol);
      const signature = await signApproval(bob, proposal);
      const set = (status = "") =>
        sqlOf(installation.dataDir, `UPDATE ${table} SET status = '${status}' WHERE ${of} = '${id}'`);
      await set(gone);
      const answer = await refused(proposal, () => approve(bob, proposal, signature));
      expect(answer).toMatchObject({ code: expect.stringMatching(/^(conflict|subject_not_active)$/) });
      await set(back);
    }
  });

  test("nothing a week after it was proposed", async () => {
    const proposal = await propose(alice);
    const signature = await signApproval(bob, proposal);
    const week = "proposed_at - interval '7 days'";
    await sqlOf(
      installation.dataDir,
      `UPDATE policy_proposal SET proposed_at = ${week} WHERE id = '${proposal.id}'`,
    );
    expect(await approve(bob, proposal, signature).catch(refusal)).toMatchObject({ code: "conflict" });
    expect(await statusOf(proposal)).toBe("over");
    await withdraw(alice, proposal);
  });

  test("no second proposal of an operator who has one that is open", async () => {
    const proposal = await propose(alice);
    expect(await refused(proposal, () => propose(alice))).toMatchObject({ code: "conflict" });
  });

  test("a policy without the mark where two want it, and then by what one applies", async () => {
    const proposal = await propose(alice, shipped);
    await approve(bob, proposal, await signApproval(bob, proposal));
    const { hash, two_person: isForTwo } = await current();
    expect(isForTwo).toBe(false);
    expect(await propose(alice).catch(refusal)).toMatchObject({ code: "conflict" });
    await apply(alice, `${shipped}\n${mark}`, hash);
  });
});

test("[POL-052] a mark is read strictly, and a policy without one has the hash that it had", async () => {
  const load = (source: string) => loadPolicy({ model, policy: source, issuer: installation.issuer });
  for (const line of ["m, two-persons", "m, two-person, x", `${mark}\n${mark}`])
    await expect(load(`${shipped}\n${line}`)).rejects.toThrow(/line \d+/);
  const [plain, marked] = [await load(shipped), await load(`${shipped}\n${mark}`)];
  expect([JSON.parse(plain.text).marks, JSON.parse(marked.text).marks]).toEqual([undefined, ["two-person"]]);
});
