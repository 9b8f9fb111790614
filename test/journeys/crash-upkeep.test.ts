import { parseAgentChecksum } from "@countersign/sdk/model/agent-configuration";
import { systemLog } from "@countersign/sdk/model/ids";
import { parseTrustDomain, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { approveChecksum } from "../../src/journeys/agent/approve-checksum.ts";
import { withdrawChecksum } from "../../src/journeys/agent/withdraw-checksum.ts";
import { createEntry } from "../../src/journeys/entry/create.ts";
import { deleteEntry } from "../../src/journeys/entry/delete.ts";
import { addFederation } from "../../src/journeys/federation/add.ts";
import { fetchDueBundles } from "../../src/journeys/federation/fetch-due.ts";
import { refreshFederation } from "../../src/journeys/federation/refresh.ts";
import { removeFederation } from "../../src/journeys/federation/remove.ts";
import { keepAuthorities } from "../../src/journeys/keys/authorities.ts";
import { createKeys } from "../../src/journeys/keys/create.ts";
import { rotateKeys } from "../../src/journeys/keys/rotate.ts";
import { taintAuthority, withdrawAuthority } from "../../src/journeys/keys/taint.ts";
import { type KeyRing, openKeyRing } from "../../src/keys/key-ring.ts";
import { findChecksum } from "../../src/store/agent-checksums.ts";
import { findFederation } from "../../src/store/federation.ts";
import { findEntry } from "../../src/store/registration-entries.ts";
import { readBundleDocument } from "../../src/svid/federation/read-bundle.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import { atEachAwait, type KeyedChange, openCrashes, unlessDead } from "./crashing.ts";
import { context, must, trustDomain } from "./server-process.ts";
import { type AgentPrincipal, openWorld, publicJwk, type World } from "./world.ts";

let world: World;
let ring: KeyRing;
const by = { kind: "system", id: "test" } as const;
const verifySignature = createSignatureVerifier();
const anHourMs = 3_600_000;

beforeAll(async () => {
  world = await openWorld();
  const { db, deps } = world;
  const onReloadFailed = () => undefined;
  ring = await openKeyRing({ db, sealer: deps.sealer, trustDomain, now: deps.now, onReloadFailed });
  await createKeys({ ...deps, reloadKeys: ring.reload }, { logs: [], by });
  await keepAuthorities(depsOf(), by);
});
afterAll(async () => {
  await ring.close();
  await world.close();
});

/** What foreign endpoints serve, by trust domain. */
const served = new Map<string, unknown>();
const depsOf = () => ({
  ...world.deps,
  reloadKeys: ring.reload,
  upstream: undefined,
  verifySignature,
  findEntry: (...given: Parameters<Parameters<typeof deleteEntry>[0]["findEntry"]>) =>
    findEntry(world.db, trustDomain, ...given),
  findChecksum: (...given: Parameters<Parameters<typeof approveChecksum>[0]["findChecksum"]>) =>
    findChecksum(world.db, ...given),
  fetchBundle: async ({
    trustDomain: of,
  }: Parameters<Parameters<typeof addFederation>[0]["fetchBundle"]>[0]) =>
    readBundleDocument(of, served.get(of)),
});
type Deps = ReturnType<typeof depsOf>;
type Change = KeyedChange<Deps>;

const entryOf = (agent: AgentPrincipal) => ({
  caller: world.operator,
  agent: agent.id,
  parent: undefined,
  selectors: ["unix:uid:1"],
  x509TtlSeconds: 3600,
  jwtTtlSeconds: 300,
  dnsNames: [],
  hint: undefined,
  federatesWith: [],
});
const rowsOfEntries = (agent: AgentPrincipal) =>
  world.db.prisma.registrationEntry.findMany({ where: { agentId: agent.id } });

const checksum = must(parseAgentChecksum("0".repeat(64)));
const rowsOfChecksums = (agent: AgentPrincipal) =>
  world.db.prisma.agentChecksum.findMany({ where: { agentId: agent.id } });

const keys = async () =>
  (await world.db.prisma.signingKey.findMany({ orderBy: { id: "asc" } })).map(({ id, status }) => [
    id,
    status,
  ]);

/** An X.509 authority that signs since a moment ago, and none that is to follow it. */
async function youngAuthority(): Promise<string> {
  world.clock.nowMs += 25 * anHourMs;
  // The one that ended is followed by one that is prepared only now.
  for (let times = 0; times < 2; times++) await keepAuthorities(depsOf(), by);
  // Who died told nobody of what it had committed.
  await ring.reload();
  return ring.x509Authorities().active.id;
}
async function followedAuthority(): Promise<string> {
  const id = await youngAuthority();
  world.clock.nowMs += 13 * anHourMs;
  await keepAuthorities(depsOf(), by);
  world.clock.nowMs += anHourMs / 4;
  return id;
}

const onAuthority = async (
  id: string | undefined,
  types: Change["types"],
  make: (deps: Deps, request: Parameters<typeof taintAuthority>[1]) => Promise<unknown>,
): Promise<Change> => ({
  caller: world.operator,
  types,
  keyed: types.length - 1,
  log: systemLog,
  make: (deps, context) => make(deps, { id: must(id), by, context }),
  rows: keys,
});

let domains = 0;
function foreign() {
  const trustDomain = must(parseTrustDomain(`foreign-${++domains}.example`));
  const { kty, crv, x, y } = publicJwk();
  const serve = (spiffe_sequence: number) =>
    served.set(trustDomain, {
      keys: [{ use: "jwt-svid", kid: "one", kty, crv, x, y }],
      spiffe_sequence,
      spiffe_refresh_hint: 300,
    });
  serve(1);
  return { trustDomain, serve };
}
const addition = (of: TrustDomain) => ({
  caller: world.operator,
  endpoint: {
    trustDomain: of,
    endpointUrl: `https://${of}/`,
    profile: "https_web" as const,
    ca: undefined,
    privateAllowed: false,
  },
  trustedForSeconds: 86_400,
  endpointSpiffeId: undefined,
  bundle: undefined,
});
async function rowsOfFederation(of: TrustDomain) {
  const { prisma } = world.db;
  const rows = await prisma.federatedTrustDomain.findMany({ where: { trustDomain: of } });
  const federationId = { in: rows.map(({ id }) => id) };
  const bundles = await prisma.federatedBundle.count({ where: { federationId } });
  return [rows.map(({ status }) => status), bundles];
}
async function federated() {
  const { trustDomain: of, serve } = foreign();
  await addFederation(depsOf(), { ...addition(of), context });
  return { of, serve, federation: must(await findFederation(world.db, of)) };
}

/** How each change is made ready. */
const changes: Readonly<Record<string, () => Promise<Change>>> = {
  "create an entry": async () => {
    const agent = await world.agent(world.alice);
    return {
      caller: world.operator,
      types: ["entry.created"],
      make: (deps, by) => createEntry(deps, { ...entryOf(agent), context: by }),
      rows: () => rowsOfEntries(agent),
    };
  },
  "delete an entry": async () => {
    const agent = await world.agent(world.alice);
    const { id: entry } = await createEntry(depsOf(), { ...entryOf(agent), context });
    return {
      caller: world.operator,
      types: ["entry.deleted"],
      make: (deps, by) => deleteEntry(deps, { caller: world.operator, entry, context: by }),
      rows: () => rowsOfEntries(agent),
    };
  },
  "approve a checksum": async () => {
    const agent = await world.agent(world.alice);
    const request = { caller: world.operator, agent: agent.id, checksum };
    return {
      caller: world.operator,
      types: ["checksum.approved"],
      make: (deps, by) => approveChecksum(deps, { ...request, context: by }),
      rows: () => rowsOfChecksums(agent),
    };
  },
  "withdraw a checksum": async () => {
    const agent = await world.agent(world.alice);
    const request = { caller: world.operator, agent: agent.id, checksum };
    await approveChecksum(depsOf(), { ...request, context });
    return {
      caller: world.operator,
      types: ["checksum.withdrawn"],
      make: (deps, by) => withdrawChecksum(deps, { ...request, context: by }),
      rows: () => rowsOfChecksums(agent),
    };
  },
  "activate an authority": async () =>
    onAuthority(await followedAuthority(), ["key.activated"], (deps, { context }) =>
      rotateKeys(deps, { purpose: "x509_authority", by, context }),
    ),
  "taint an authority that one follows": async () =>
    onAuthority(await followedAuthority(), ["key.tainted"], taintAuthority),
  "taint an authority that none follows": async () =>
    onAuthority(await youngAuthority(), ["key.created", "key.tainted"], taintAuthority),
  "taint an authority of JWT-SVIDs": async () => {
    await ring.reload();
    return onAuthority(ring.jwtAuthorities().active.kid, ["key.tainted"], taintAuthority);
  },
  "withdraw an authority": async () => {
    const id = await youngAuthority();
    await taintAuthority(depsOf(), { id, by, context });
    return onAuthority(id, ["key.withdrawn"], withdrawAuthority);
  },
  federate: async () => {
    const { trustDomain: of } = foreign();
    return {
      caller: world.operator,
      types: ["federation.added", "federation.refreshed"],
      log: systemLog,
      make: (deps, by) => addFederation(deps, { ...addition(of), context: by }),
      rows: () => rowsOfFederation(of),
      catchUp: () => fetchDueBundles(depsOf()),
    };
  },
  "refresh a federation": async () => {
    const { of, serve, federation } = await federated();
    serve(2);
    return {
      caller: world.operator,
      types: ["federation.refreshed"],
      log: systemLog,
      make: (deps, context) => refreshFederation(deps, { federation, by, context }),
      rows: () => rowsOfFederation(of),
    };
  },
  "remove a federation": async () => {
    const { of } = await federated();
    return {
      caller: world.operator,
      types: ["federation.removed"],
      log: systemLog,
      make: (deps, by) => removeFederation(deps, { caller: world.operator, trustDomain: of, context: by }),
      rows: () => rowsOfFederation(of),
    };
  },
};

describe("a process that dies at any await of", () => {
  test.each(Object.entries(changes))(
    "[FLT-001] [API-002] %s leaves entry and rows or neither, and makes it once, however often its key is sent",
    async (name, ready) => openCrashes(world, depsOf).sendToTheDying(ready, name),
  );

  test("[FLT-001] [KEY-002] preparing an authority leaves one, which whoever looks next certifies", async () => {
    const deaths = await atEachAwait(depsOf, async ({ deps, hasDied }, where) => {
      await youngAuthority();
      world.clock.nowMs += 13 * anHourMs;
      const [before, size] = [await keys(), (await world.entries(systemLog)).length];
      await unlessDead(keepAuthorities(deps, by));
      const recorded = (await world.entries(systemLog)).slice(size);
      expect((await keys()).length - before.length, where).toBe(recorded.length);
      if (!hasDied()) expect(recorded).toHaveLength(1);
      await keepAuthorities(depsOf(), by);
      expect((await world.entries(systemLog)).slice(size).map(({ type }) => type)).toEqual(["key.created"]);
      const next = await world.db.prisma.signingKey.findMany({
        where: { purpose: "x509_authority", status: "next" },
      });
      expect(next.map(({ certificate }) => certificate === null)).toEqual([false]);
    });
    expect(deaths).toBeGreaterThan(6);
  });
});
