import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Client, TokenResponse } from "@countersign/sdk/client/client";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { retireAgent, suspendAgent, transferAgent } from "@countersign/sdk/contract/agents";
import { revokeDelegation } from "@countersign/sdk/contract/delegations";
import type { LedgerPosition } from "@countersign/sdk/contract/fields";
import { createUser } from "@countersign/sdk/contract/users";
import { expect, test } from "vitest";
import { freePort, makeInstallation, type Party, until } from "../server.ts";
import {
  audience,
  type Cast,
  castPlayers,
  isActive,
  narrow,
  scope,
  type TakingAway,
  takeAway,
} from "./cast.ts";
import { expectRecorded, exportLog, verifierKeyOf } from "./evidence.ts";
import { acknowledgedBy } from "./load.ts";

/** What is taken away, seen from the agent at the end of the chain. */
const takings = [
  "its delegation",
  "the delegation above",
  "itself for a time",
  "itself",
  "its grantor",
  "itself, to another owner",
] as const;
const roundsOfEach = 5;
const callers = 6;

/** A chain of two: the first agent passes on to the second. */
interface Chain {
  readonly first: Party;
  readonly second: Party;
  readonly root: string;
  readonly leaf: string;
}

/** A request at the other server, and what came of it. */
interface Attempt {
  readonly startedAfterRevocation: boolean;
  readonly outcome: TokenResponse | string;
}

test("[TOK-003] [TOK-006] [DEL-005] [DEL-006] [AGT-004] what one server revoked, the other neither issues nor calls active", async () => {
  const installation = await makeInstallation();
  const here = await installation.startServer();
  const there = await installation.startServer(await freePort());
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, here);
  const { id: bob } = await cast.operator.perform(createUser, { body: { name: "Bob" } });
  const revocations: { readonly leaf: string; readonly taking: string; readonly index: number }[] = [];
  const issued: TokenResponse[] = [];

  for (const taking of Array.from({ length: roundsOfEach }, () => takings).flat()) {
    // Each of the two is once the one that revokes.
    const [revoking, issuing] = revocations.length % 2 === 0 ? [here, there] : [there, here];
    const chain = await makeChain(cast, (agent) => installation.clientAt(issuing, agent));
    const operator = await installation.operatorAt(revoking);
    const { attempts, index } = await redeemUntilRefused(
      installation.clientAt(issuing, chain.second),
      chain.leaf,
      () => takeNow(operator, taking, chain, bob),
    );

    const tokens = attempts.flatMap(({ outcome }) => (typeof outcome === "string" ? [] : [outcome]));
    const late = attempts.filter(({ startedAfterRevocation }) => startedAfterRevocation);
    expect(tokens.length).toBeGreaterThan(0);
    expect(late.length).toBeGreaterThan(0);
    expect(late.filter(({ outcome }) => typeof outcome !== "string")).toEqual([]);
    expect(attempts.map(({ outcome }) => outcome).filter(isUnexpected)).toEqual([]);
    for (const { access_token } of tokens.slice(-3)) {
      expect(await isActive(installation, issuing, cast.mailbox, access_token)).toBe(false);
    }
    revocations.push({ leaf: chain.leaf, taking, index });
    issued.push(...tokens);
  }

  const evidence = await exportLog(installation, vkey);
  expectRecorded(evidence, issued.map(acknowledgedBy));
  for (const { leaf, taking, index } of revocations) {
    const after = evidence.entries.slice(index + 1).filter(({ delegation }) => delegation === leaf);
    expect(after.filter(({ type }) => type === "token.issued")).toEqual([]);
    // A transferred agent goes on authenticating, so that what it is refused is of the delegation.
    if (taking === "itself, to another owner")
      expect(after.map(({ type }) => type)).toContain("token.refused");
  }
});

async function makeChain(cast: Cast, clientOf: (agent: Party) => Client): Promise<Chain> {
  const [first, second] = [await cast.createAgent("first"), await cast.createAgent("second")];
  const root = await cast.grant(first);
  return { first, second, root, leaf: await narrow(clientOf(first), root, second) };
}

async function takeNow(
  operator: Client,
  taking: (typeof takings)[number],
  chain: Chain,
  newOwner: string,
): Promise<LedgerPosition> {
  if (taking !== "itself, to another owner") return takeAway(operator, ...actOf(taking, chain));
  const given = { params: { id: chain.second.id }, body: { owner: newOwner } };
  return (await operator.perform(transferAgent, given)).ledger;
}

function actOf(
  taking: Exclude<(typeof takings)[number], "itself, to another owner">,
  { first, second, root, leaf }: Chain,
): [TakingAway, string] {
  switch (taking) {
    case "its delegation":
      return [revokeDelegation, leaf];
    case "the delegation above":
      return [revokeDelegation, root];
    case "itself for a time":
      return [suspendAgent, second.id];
    case "itself":
      return [retireAgent, second.id];
    case "its grantor":
      return [suspendAgent, first.id];
  }
}

/** Redeems the delegation again and again, takes authority away meanwhile, and goes on until all callers know. */
async function redeemUntilRefused(
  client: Client,
  delegation: string,
  revokeNow: () => Promise<{ readonly index: number }>,
): Promise<{ attempts: Attempt[]; index: number }> {
  const attempts: Attempt[] = [];
  let revoked = false;
  const running = Array.from({ length: callers }, async () => {
    for (let startedAfterRevocation = false; !startedAfterRevocation; ) {
      startedAfterRevocation = revoked;
      const outcome = await client
        .redeemDelegation({ delegation, resource: audience, scope })
        .catch((error: unknown) => {
          if (error instanceof RefusedError) return `${error.status} ${error.code}`;
          throw error;
        });
      attempts.push({ startedAfterRevocation, outcome });
    }
  });
  await until("a token", () => attempts.length >= callers);
  await delay(randomInt(50));
  const { index } = await revokeNow();
  revoked = true;
  await Promise.all(running);
  return { attempts, index };
}

/** Refusals that a revocation explains: of the delegation, or of the client that is no longer one. */
function isUnexpected(outcome: TokenResponse | string): boolean {
  return typeof outcome === "string" && outcome !== "400 invalid_request" && outcome !== "401 invalid_client";
}
