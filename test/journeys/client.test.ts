import { randomBytes } from "node:crypto";
import { newId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { strictProfile } from "../../src/domain/client.ts";
import { isClientSecret } from "../../src/journeys/client/client-secret.ts";
import { type ClientPrincipal, type SetClientRequest, setClient } from "../../src/journeys/client/set.ts";
import { changesChannel } from "../../src/store/batch-statement.ts";
import { findClient } from "../../src/store/clients.ts";
import { until } from "../server.ts";
import { context, must } from "./server-process.ts";
import { type AgentPrincipal, errorOf, openWorld, startAnotherProcess, type World } from "./world.ts";

let world: World;
let agent: AgentPrincipal;
beforeAll(async () => {
  world = await openWorld();
  agent = await world.agent(world.alice);
});
afterAll(() => world.close());

const { secretVerifier: _, ...strict } = strictProfile;
const set = (
  client: ClientPrincipal,
  changes: Partial<SetClientRequest["profile"]> = {},
  caller: SetClientRequest["caller"] = world.operator,
) => setClient(world.deps, { caller, client, profile: { ...strict, ...changes }, context });
const profileOf = async (client: ClientPrincipal) => must(await findClient(world.db, client)).profile;
const withSecret = { compat: true, authMethod: "client_secret_basic" } as const;

describe("[ISS-006] what an operator sets for a client", () => {
  test("holds in place of all that was set before, and has its entry", async () => {
    expect(await profileOf(agent)).toEqual(strictProfile);
    const uris = ["https://app.example/callback"];
    const first = await set(agent, { redirectUris: uris, dpopNonceRequired: true });
    expect(await profileOf(agent)).toEqual({ ...strictProfile, redirectUris: uris, dpopNonceRequired: true });
    const second = await set(agent, { authMethod: "self_signed_tls_client_auth" });
    expect(await profileOf(agent)).toEqual({ ...strictProfile, authMethod: "self_signed_tls_client_auth" });
    expect(second.ledger.index).toBeGreaterThan(first.ledger.index);
    expect((await world.entries())[second.ledger.index]).toMatchObject({
      type: "client.changed",
      actor: { kind: "operator", id: world.operator.id },
      target: { kind: "agent", id: agent.id },
      owner: world.alice,
      detail: { auth_method: "self_signed_tls_client_auth", compat: false, redirect_uris: [] },
    });
    await set(world.mailbox, { dpopNonceRequired: true });
    expect((await profileOf(world.mailbox)).dpopNonceRequired).toBe(true);
    expect(await profileOf(agent)).toMatchObject({ dpopNonceRequired: false });
  });

  test("a secret is made anew each time, and is kept and recorded nowhere", async () => {
    const [one, two] = [await set(agent, withSecret), await set(agent, withSecret)];
    const { secretVerifier = "" } = await profileOf(agent);
    expect(isClientSecret(secretVerifier, two.secret ?? "")).toBe(true);
    expect(isClientSecret(secretVerifier, one.secret ?? "")).toBe(false);
    const kept = JSON.stringify(
      [await world.entries(), await world.db.prisma.clientProfile.findMany()],
      (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value),
    );
    for (const { secret = "" } of [one, two]) {
      expect(secret).toMatch(/^csec_[\w-]{43}$/);
      expect(kept).not.toContain(secret.slice("csec_".length));
    }
    expect((await set(agent)).secret).toBeUndefined();
    expect(await profileOf(agent)).toEqual(strictProfile);
  });

  test("is refused of all but operators, of no client, and of a retired one", async () => {
    const asAgent = await errorOf(set(agent, { compat: true }, agent));
    expect(asAgent.code).toBe("not_authorized");
    const unknown = { ...agent, id: newId("agent", 0, randomBytes(16)) };
    expect((await errorOf(set(unknown))).code).toBe("not_found");
    const retired = await world.agent(world.alice);
    await world.setStatus(retired, "retired");
    expect((await errorOf(set(retired, { compat: true }))).code).toBe("subject_not_active");
    expect(await profileOf(retired)).toEqual(strictProfile);
  });

  test("is refused as a secret without compat", async () => {
    const refused = await errorOf(set(agent, { authMethod: "client_secret_basic" }));
    expect(refused.code).toBe("invalid_request");
    expect(await profileOf(agent)).toEqual(strictProfile);
  });

  test("[ORG-001] is not for an operator of another organization", async () => {
    const stranger = await world.makeOrganization("elsewhere");
    expect((await errorOf(set(agent, { compat: true }, stranger))).code).toBe("not_found");
  });
});

describe("[ISS-006] another process", () => {
  test("is told of what was set", async () => {
    const other = await startAnotherProcess(world);
    const stop = await world.db.listen(changesChannel, {
      onMessage: (payload) => {
        for (const { id } of JSON.parse(payload)) other.hot.invalidate(id);
      },
      onGap: () => undefined,
    });
    const read = async () => (await other.hot.client(agent))?.profile;
    expect(await read()).toEqual(strictProfile);
    await set(agent, { dpopNonceRequired: true });
    await until("the news", async () => (await read())?.dpopNonceRequired === true);
    await stop();
    await other.close();
  });

  test("lets nobody in by what was closed again, even if it is told nothing", async () => {
    const other = await startAnotherProcess(world);
    await set(agent, withSecret);
    expect((await other.hot.client(agent))?.profile.compat).toBe(true);
    await set(agent);
    expect((await other.hot.client(agent))?.profile).toEqual(strictProfile);
    await other.close();
  });
});
