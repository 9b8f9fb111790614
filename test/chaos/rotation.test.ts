import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { expect, test } from "vitest";
import { makeInstallation } from "../server.ts";
import { audience, castPlayers, scope } from "./cast.ts";
import { expectRecorded, exportLog, verifierKeyOf } from "./evidence.ts";
import { type Acknowledged, acknowledgedBy } from "./load.ts";

const rotations = 10;
const callers = 8;

test("[KEY-001] keys rotate under load: nothing fails, and each token verifies by the keys that are published after it", async () => {
  const installation = await makeInstallation();
  const server = await installation.startServer();
  const { createAgent, grant } = await castPlayers(installation, server);
  const agent = await createAgent("agent");
  const delegation = await grant(agent);
  const vkey = await verifierKeyOf(installation);
  const acknowledged: Acknowledged[] = [];
  const kids = new Set<string | undefined>();
  let stopping = false;

  async function callOn(number: number): Promise<void> {
    const client = installation.clientAt(server, agent);
    while (!stopping) {
      const issued = await (number % 2 === 0
        ? client.redeemDelegation({ delegation, resource: audience, scope })
        : client.requestToken({ resource: `${installation.issuer}/v1`, scope: "delegate" }));
      const jwks = (await (await fetch(`${server.url}/jwks`)).json()) as JSONWebKeySet;
      const { protectedHeader } = await jwtVerify(issued.access_token, createLocalJWKSet(jwks), {
        typ: "at+jwt",
      });
      kids.add(protectedHeader.kid);
      acknowledged.push(acknowledgedBy(issued));
    }
  }

  const running = Promise.all(Array.from({ length: callers }, (_, number) => callOn(number)));
  for (let rotation = 0; rotation < rotations; rotation++) {
    const rotated = await Promise.race([installation.run("keys", "rotate", "--json"), running]);
    expect(rotated).toMatchObject({ code: 0 });
  }
  stopping = true;
  await running;

  expect(kids.size).toBeGreaterThan(rotations / 2);
  expectRecorded(await exportLog(installation, vkey), acknowledged);
});
