import { realpath } from "node:fs/promises";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { getAgentHistory } from "@countersign/sdk/contract/agent-history";
import { createAgent } from "@countersign/sdk/contract/agents";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import { createEntry, deleteEntry } from "@countersign/sdk/contract/entries";
import { ledgerEntrySchema } from "@countersign/sdk/contract/ledger-entry";
import type { Cli } from "../cli.ts";
import type { Cast } from "./cast.ts";
import { expectThat, UnexpectedOutcome } from "./narrator.ts";
import { redeem, refusalOf, svidClient } from "./oauth.ts";
import type { Stage } from "./stage.ts";
import { tokenFacts } from "./token-facts.ts";
import { startWorkload, type Workload } from "./workload-process.ts";

const settleTimeoutMs = 10_000;

/** An agent of Alice's that has no secret anywhere, and what it is granted. */
interface Courier {
  readonly agent: string;
  readonly entry: string;
  readonly delegation: string;
}

/**
 * An agent to which nobody gave a secret: the kernel says which process it is, and by that it gets to a redeemed
 * delegation. @throws UnexpectedOutcome
 */
export async function workWithoutSecret(stage: Stage, cast: Cast): Promise<void> {
  if (process.platform !== "linux") {
    stage.narrator.tell("An agent without any secret would come next", "countersign entry create …", [
      `the Workload API needs Linux, and this is ${process.platform}: there an agent proves itself by its key, as above`,
    ]);
    return;
  }
  const workload = startWorkload(stage.server);
  try {
    const courier = await registerCourier(stage, cast);
    await identify(stage, workload, courier);
    const { svid, entryOfToken } = await act(stage, workload, courier);
    await tryAsThief(stage, svid, courier);
    await endEntry(stage, cast, workload, courier);
    await showLedger(stage, cast, courier, entryOfToken);
  } finally {
    await workload.stop();
  }
}

async function registerCourier({ mailbox, narrator }: Stage, { operator, alice }: Cast): Promise<Courier> {
  const agent = await operator.perform(createAgent, { body: { owner: alice, name: "courier" } });
  expectThat(agent.client_id === agent.spiffe_id, "a keyless agent is not named by its SPIFFE ID");
  narrator.tell(
    "The courier gets an identity, but no key: nobody can steal, leak or forget one",
    `countersign agent create --owner ${alice} --name courier --no-key`,
    [`${agent.spiffe_id}, owned by ${agent.owner}`],
  );

  const selectors = [`unix:uid:${process.getuid?.()}`, `unix:path:${await realpath(process.execPath)}`];
  const entry = await operator.perform(createEntry, { body: { agent: agent.id, selectors } });
  narrator.tell(
    "The operator says which processes are the courier",
    `countersign entry create --agent ${agent.id} ${selectors.map((one) => `--selector ${one}`).join(" ")}`,
    [
      `${entry.id}: ${entry.selectors.join(" ")}; recorded: log ${entry.ledger.log}, entry ${entry.ledger.index}`,
      "a server attests none of its own account's processes, which could read its keys; this one was told to,",
      "by --attest-own-uid, because the demo has one account only. Elsewhere workloads have accounts of their own",
    ],
  );

  const body = {
    from_user: alice,
    to_agent: agent.id,
    resource: mailbox.audience,
    scope: ["mail.read"],
  };
  const { id } = await operator.perform(createDelegation, { body });
  narrator.tell(
    "Alice delegates reading to the courier",
    `countersign delegate --from ${alice} --to ${agent.id} --resource ${mailbox.audience} --scope mail.read`,
    [`${id}: mail.read`],
  );
  return { agent: agent.id, entry: entry.id, delegation: id };
}

async function identify(
  { cli, server, narrator }: Stage,
  workload: Workload,
  courier: Courier,
): Promise<void> {
  const report = await identifyUntil(cli, workload, "identity");
  expectThat(report.is === "identity", "the workload is denied SVIDs though it has an entry");
  const { spiffeId } = report;
  expectThat(spiffeId.endsWith(`/agent/${courier.agent}`), `the workload is ${spiffeId}`);
  narrator.tell(
    "The courier's process asks the socket who it is, and gets a JWT-SVID for its issuer",
    `SPIFFE_ENDPOINT_SOCKET=unix://${workload.socket}: FetchJWTSVID audience=${server.issuer}`,
    [`${spiffeId}, known by what the kernel says of the process`],
  );
}

async function act(
  { mailbox, narrator }: Stage,
  workload: Workload,
  courier: Courier,
): Promise<{ readonly svid: string; readonly entryOfToken: number }> {
  const target = { delegation: courier.delegation, resource: mailbox.audience, scope: "mail.read" };
  const { svid, response, inbox } = await workload.act(target);
  const { claims, ledger } = tokenFacts(response);
  expectThat(claims.scope === "mail.read", `the token's scope is ${claims.scope}`);
  expectThat(inbox.status === 200, `the mailbox answered ${inbox.status}`);
  narrator.tell(
    "With another one, and a DPoP key that it has just made, it redeems Alice's delegation and reads mail",
    `POST /token client_assertion_type=…:jwt-spiffe client_assertion=<JWT-SVID> subject_token=${courier.delegation}; GET ${mailbox.audience}/inbox`,
    [
      `a ${response.token_type} token on behalf of ${claims.sub}; recorded: log ${ledger.log}, entry ${ledger.index}`,
      `${inbox.status} ${JSON.stringify(inbox.body)}`,
    ],
  );
  return { svid, entryOfToken: ledger.index };
}

async function tryAsThief(
  { server, mailbox, narrator }: Stage,
  svid: string,
  { delegation }: Courier,
): Promise<void> {
  const { privateJwk } = await makeKeyPair();
  const thief = await svidClient(server.issuer, svid, privateJwk);
  const target = { delegation, resource: mailbox.audience, scope: "mail.read" };
  const refusal = await refusalOf(redeem(thief, target), "a thief redeemed by a copied JWT-SVID");
  expectThat(refusal.error === "invalid_dpop_proof", `the thief was refused as ${refusal.error}`);
  narrator.tell(
    "A thief with the same JWT-SVID and a key of its own gets nothing",
    "POST /token client_assertion=<the same JWT-SVID>, with a DPoP proof of another key",
    [`${refusal.status} ${refusal.error}: ${refusal.error_description ?? ""}`],
  );
}

async function endEntry(
  { cli, narrator }: Stage,
  { operator }: Cast,
  workload: Workload,
  { entry }: Courier,
): Promise<void> {
  await operator.perform(deleteEntry, { params: { id: entry } });
  const report = await identifyUntil(cli, workload, "denied");
  expectThat(report.is === "denied", "the workload still gets SVIDs though its entry is deleted");
  narrator.tell(
    "The operator deletes the entry: the same process is nobody now",
    `countersign entry delete ${entry}`,
    [`FetchJWTSVID: ${report.detail}`],
  );
}

/** Who serves the socket has its news of a commit a moment after it: asks again until then, as any workload does. */
async function identifyUntil(cli: Cli, workload: Workload, wanted: "identity" | "denied") {
  const deadlineMs = cli.now() + settleTimeoutMs;
  let report = await workload.identify();
  while (report.is !== wanted && cli.now() < deadlineMs) report = await workload.identify();
  return report;
}

async function showLedger(
  { cli, narrator }: Stage,
  { operator }: Cast,
  { agent }: Courier,
  entryOfToken: number,
): Promise<void> {
  const deadlineMs = cli.now() + settleTimeoutMs;
  while (cli.now() < deadlineMs) {
    const { items, as_of } = await operator.perform(getAgentHistory, {
      params: { id: agent },
      query: { limit: 50 },
    });
    if (as_of <= entryOfToken) continue;
    const entries = items.map(({ index, entry }) => ({ index, ...ledgerEntrySchema.parse(entry) }));
    const issued = entries.find(({ type }) => type === "svid.issued");
    expectThat(issued?.attestation === "measured", "the ledger does not say that the SVID was attested");
    const { index, detail, claims_hash } = issued;
    narrator.tell("The ledger says of the SVID by what it was given", `countersign agent history ${agent}`, [
      `entry ${index}: svid.issued, a ${detail?.["svid"]} SVID on ${detail?.["entry"]}, attestation ${issued.attestation}`,
      `its claims_hash ${claims_hash} is the hash of what was signed afterwards`,
    ]);
    return;
  }
  throw new UnexpectedOutcome("unexpected outcome: the agent's history does not come");
}
