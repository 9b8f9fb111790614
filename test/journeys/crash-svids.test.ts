import { newId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UsedBefore } from "../../src/domain/domain-error.ts";
import { createEntry } from "../../src/journeys/entry/create.ts";
import { keepAuthorities } from "../../src/journeys/keys/authorities.ts";
import { createKeys } from "../../src/journeys/keys/create.ts";
import { issueJwtSvid } from "../../src/journeys/svid/issue-jwt.ts";
import { issueX509Svids } from "../../src/journeys/svid/issue-x509.ts";
import { issueToken } from "../../src/journeys/token/issue.ts";
import { createTrustedIssuer } from "../../src/journeys/trust/create-issuer.ts";
import { mapSubject } from "../../src/journeys/trust/map-subject.ts";
import { type KeyRing, openKeyRing } from "../../src/keys/key-ring.ts";
import { createReplayMemory, type ReplayMemory, replayKey } from "../../src/store/replay.ts";
import { findTrustedIssuer } from "../../src/store/trusted-issuers.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import { type Doing, openCrashes } from "./crashing.ts";
import { context, must, organization, trustDomain } from "./server-process.ts";
import { openWorld, publicJwk, type World } from "./world.ts";

let world: World;
let ring: KeyRing;
let replays: ReplayMemory;
const by = { kind: "system", id: "test" } as const;
const verifySignature = createSignatureVerifier();

beforeAll(async () => {
  world = await openWorld();
  const { db, deps } = world;
  const onReloadFailed = () => undefined;
  ring = await openKeyRing({ db, sealer: deps.sealer, trustDomain, now: deps.now, onReloadFailed });
  replays = createReplayMemory({ db, now: deps.now });
  const reloadKeys = ring.reload;
  await createKeys({ ...deps, reloadKeys }, { logs: [], by });
  await keepAuthorities({ ...deps, reloadKeys, upstream: undefined, verifySignature }, by);
});
afterAll(async () => {
  await ring.close();
  await world.close();
});

/** How many signatures were asked for. */
let signed = 0;
function counting<Key extends { readonly sign: (message: Uint8Array) => Uint8Array }>(key: Key): Key {
  const sign = (message: Uint8Array) => {
    signed++;
    return key.sign(message);
  };
  return { ...key, sign };
}

function depsOf() {
  const { db, deps } = world;
  return {
    ...deps,
    x509Authority: () => counting(ring.x509Authorities().active),
    jwtAuthority: () => counting(ring.jwtAuthorities().active),
    reloadKeys: ring.reload,
    trustBundle: ring.trustBundle,
    verifySignature,
    useUp: replays.useUp,
    findTrustedIssuer: (...given: Parameters<Parameters<typeof mapSubject>[0]["findTrustedIssuer"]>) =>
      findTrustedIssuer(db, ...given),
  };
}
type Deps = ReturnType<typeof depsOf>;

/** How each is made ready. */
const doings: Readonly<Record<string, () => Promise<Doing<Deps>>>> = {
  "[SVI-006] issue one X.509-SVID": () => issuing(1),
  "[SVI-030] issue three X.509-SVIDs": () => issuing(3),
  "[SVI-006] issue a JWT-SVID": async () => {
    const [workload] = await workloads(1);
    const make = (deps: Deps) =>
      issueJwtSvid(deps, { ...must(workload), audience: ["https://mail.example"] });
    return issuance(1, make);
  },
  "[TRU-003] [FLT-020] make an agent of a new subject": provisioning,
};

let made = 0;
const workloads = (count: number) =>
  Promise.all(
    Array.from({ length: count }, async () => {
      const agent = await world.agent(world.alice);
      const entry = await createEntry(depsOf(), {
        caller: world.operator,
        agent: agent.id,
        parent: undefined,
        selectors: [`unix:uid:${++made}`],
        x509TtlSeconds: 3600,
        jwtTtlSeconds: 300,
        dnsNames: [],
        hint: undefined,
        federatesWith: [],
        context,
      });
      return {
        entry: { ...entry, checksum: undefined },
        node: undefined,
        attestation: "measured",
        context,
      } as const;
    }),
  );

async function issuing(count: number): Promise<Doing<Deps>> {
  const grounds = await workloads(count);
  return issuance(count, (deps) =>
    issueX509Svids(
      deps,
      grounds.map((each) => ({ ...each, publicKey: newKeyPair().publicKey })),
    ),
  );
}

const rowsOfSvids = async () =>
  (await world.db.prisma.svid.findMany({ orderBy: { id: "asc" } })).map(({ id }) => id);

async function issuance(count: number, make: Doing<Deps>["make"]): Promise<Doing<Deps>> {
  const [before, size] = [await rowsOfSvids(), (await world.entries()).length];
  signed = 0;
  return {
    types: ["svid.issued"],
    make,
    rows: rowsOfSvids,
    async next(done) {
      expect(signed).toBeLessThanOrEqual(done * count);
      await make(depsOf());
      const entries = (await world.entries()).slice(size);
      const told = entries.flatMap(({ svids, detail, jti }) =>
        svids === undefined ? [jti ?? detail?.["serial"]] : svids.map(({ serial }) => serial),
      );
      const rows = await rowsOfSvids();
      expect(rows.filter((id) => !before.includes(id))).toEqual(told.sort());
      expect(rows).toHaveLength(before.length + (done + 1) * count);
    },
  };
}

let subjects = 0;
async function provisioning(): Promise<Doing<Deps>> {
  const { rule, trustedIssuer } = await aRule();
  const newSubject = `repo:${++subjects}`;
  const restsOn = {
    kind: "new_subject",
    trustedIssuer,
    rule,
    checksum: undefined,
    subject: newSubject,
  } as const;
  const ask = async (deps: Deps, assertion: string) => {
    const key = replayKey(trustedIssuer, "trusted_assertion", assertion);
    const once = await deps.useUp(key, new Date(deps.now() + 60_000));
    return issueToken(deps, {
      client: { kind: "agent", organization, id: newId("agent", deps.now(), deps.randomBytes(16)) },
      confirmation: { jkt: "thumb" },
      context: { ...context, restsOn, demands: { writes: [once], conditions: [] } },
    });
  };
  const where = { trustedIssuerId: trustedIssuer };
  const agents = () => world.db.prisma.agent.findMany({ where, select: { id: true } });
  return {
    types: ["agent.created", "token.issued"],
    make: (deps) => ask(deps, "one"),
    rows: async () => [await agents(), await world.db.prisma.decisionInput.count()],
    async next(done) {
      // The assertion is a grant once, and is as long as it gave nothing.
      if (done === 2) await expect(ask(depsOf(), "one")).rejects.toBeInstanceOf(UsedBefore);
      const { claims } = await ask(depsOf(), done === 2 ? "another" : "one");
      const [agent, ...others] = await agents();
      expect(others).toEqual([]);
      expect(claims.sub).toContain(must(agent).id);
      const agentId = must(agent).id;
      expect(await world.db.prisma.agentOwner.count({ where: { agentId } })).toBe(1);
      expect(await world.db.prisma.subjectMapping.count({ where: { agentId, provisionedBy: rule } })).toBe(1);
    },
  };
}

async function aRule() {
  const caller = world.operator;
  const trust = await createTrustedIssuer(
    { ...depsOf(), allowsLoopback: false },
    {
      caller,
      issuer: `https://ci-${subjects}.example`,
      kind: "workload",
      jwks: JSON.stringify({ keys: [{ ...publicJwk(), kid: "one", alg: "ES256", use: "sig" }] }),
      maxAgeSeconds: 600,
      algorithms: ["ES256"],
      maxAgents: 10,
      checksumClaims: [],
      context,
    },
  );
  const to = { owner: world.alice, kind: "worker", namePrefix: "ci " } as const;
  const claims = { repository: "acme" };
  const rule = await mapSubject(depsOf(), { caller, issuer: trust.id, claims, to, context });
  return { trustedIssuer: trust.id, rule: rule.id };
}

describe("a process that dies at any await of what it does to", () => {
  test.each(Object.entries(doings))(
    "[FLT-001] %s leaves entry and rows or neither, and nobody in between",
    (_, ready) => openCrashes(world, depsOf).doAmongTheDying(ready),
  );
});
