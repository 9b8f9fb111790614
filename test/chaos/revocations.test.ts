import { followRevocations } from "@countersign/sdk/client/follow-revocations";
import { revokeAgent, suspendAgent } from "@countersign/sdk/contract/agents";
import { revokeDelegation } from "@countersign/sdk/contract/delegations";
import {
  getRevocation,
  listReach,
  listRevocations,
  type RevocationEvent,
} from "@countersign/sdk/contract/revocations";
import { verifyReach, verifyRevocationReceipt } from "@countersign/sdk/verify/verify-revocation-receipt";
import { createLocalJWKSet, type JSONWebKeySet } from "jose";
import { expect, test } from "vitest";
import { freePort, makeInstallation, type ServerProcess, until } from "../server.ts";
import { castPlayers, narrow } from "./cast.ts";

test("[REV-005] a resource server follows over two servers, of which one is killed, and misses nothing", async () => {
  const installation = await makeInstallation();
  const first = await installation.startServer();
  const second = await installation.startServer(await freePort());
  const cast = await castPlayers(installation, second);
  const { operator, mailbox } = cast;

  let at: ServerProcess = first;
  const told: RevocationEvent[] = [];
  const following = new AbortController();
  let opened = 0;
  const followed = followRevocations({
    client: installation.clientAt(() => at, mailbox),
    onRevoked: (event) => void told.push(event),
    onOpen: () => {
      opened++;
    },
    signal: following.signal,
  });
  const untilTold = (id: string) => until(`news of ${id}`, () => told.some((event) => event.id === id));
  await until("the stream", () => opened > 0);

  const [top, below] = [await cast.createAgent("top"), await cast.createAgent("below")];
  const root = await cast.grant(top);
  const child = await narrow(installation.clientAt(second, top), root, below);
  const receipt = await operator.perform(revokeDelegation, { params: { id: root } });
  await untilTold(root);
  expect(told.at(-1)).toMatchObject({ kind: "delegation", index: receipt.ledger.index, last: true });
  expect(new Set(told.at(-1)?.delegations)).toEqual(new Set([root, child]));

  // What is revoked while the follower has no server is told by the next one it finds.
  await first.kill();
  await operator.perform(suspendAgent, { params: { id: top.id } });
  await operator.perform(revokeAgent, { params: { id: below.id } });
  at = second;
  await untilTold(below.id);
  expect(told.map(({ id }) => id)).toEqual([root, top.id, below.id]);
  expect(told.at(-1)).toMatchObject({ kind: "agent", agents: [below.id], delegations: [child] });
  const { items } = await operator.perform(listRevocations, {});
  expect(items.map(({ index }) => index)).toEqual(told.map(({ index }) => index));

  // A stranger with the issuer's keys checks the receipt, made again, and all pages of its list.
  const jwks = (await (await fetch(`${second.url}/jwks`)).json()) as JSONWebKeySet;
  const params = { index: String(receipt.ledger.index) };
  const again = await operator.perform(getRevocation, { params });
  expect({ ...again, receipt: "" }).toEqual({ ...receipt, receipt: "" });
  const keys = createLocalJWKSet(jwks);
  const claims = await verifyRevocationReceipt(again.receipt, { issuer: installation.issuer, keys });
  await verifyReach(claims, (await operator.perform(listReach, { params })).items);

  // An open stream holds no server that is asked to end.
  expect(await second.stop()).toMatchObject({ code: 0 });
  following.abort();
  await followed;
});

test("[REV-006] an agent may not follow, and a resource not administer", async () => {
  const installation = await makeInstallation();
  const server = await installation.startServer();
  const { createAgent, mailbox } = await castPlayers(installation, server);
  const agent = await createAgent("courier");
  const signal = AbortSignal.timeout(60_000);
  const followedBy = (party: typeof agent) =>
    followRevocations({ client: installation.clientAt(server, party), onRevoked: () => undefined, signal });
  await expect(followedBy(agent)).rejects.toMatchObject({ name: "RefusedError" });
  const asResource = installation.clientAt(server, mailbox);
  await expect(
    asResource.perform(revokeAgent, { params: { id: agent.id }, scope: "revocations" }),
  ).rejects.toMatchObject({ code: "insufficient_scope" });
  await expect(asResource.perform(revokeAgent, { params: { id: agent.id } })).rejects.toMatchObject({
    name: "RefusedError",
  });
});
