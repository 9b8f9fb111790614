import { claimsHash } from "@countersign/sdk/contract/claims-hash";
import { systemLog } from "@countersign/sdk/model/ids";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MatchedEntry } from "../../src/domain/svid-holder.ts";
import { createEntry } from "../../src/journeys/entry/create.ts";
import { deleteEntry } from "../../src/journeys/entry/delete.ts";
import { keepAuthorities } from "../../src/journeys/keys/authorities.ts";
import { createKeys } from "../../src/journeys/keys/create.ts";
import { taintAuthority } from "../../src/journeys/keys/taint.ts";
import { issueJwtSvid } from "../../src/journeys/svid/issue-jwt.ts";
import { issueX509Svids } from "../../src/journeys/svid/issue-x509.ts";
import { type KeyRing, openKeyRing } from "../../src/keys/key-ring.ts";
import { sha256 } from "../../src/ledger/sha256.ts";
import { findEntry } from "../../src/store/registration-entries.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import { createSignatureVerifier } from "../../src/svid/verify-signature.ts";
import { context, must, organization, trustDomain } from "./server-process.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
let ring: KeyRing;
const by = { kind: "system", id: "test" } as const;
const verifySignature = createSignatureVerifier();

beforeAll(async () => {
  world = await openWorld();
  const { db, deps } = world;
  ring = await openKeyRing({
    db,
    sealer: deps.sealer,
    trustDomain,
    now: deps.now,
    onReloadFailed: () => undefined,
  });
  await createKeys({ ...deps, reloadKeys: ring.reload }, { logs: [], by });
  await keepAuthorities(authorityDeps(), by);
});
afterAll(async () => {
  await ring.close();
  await world.close();
});

const authorityDeps = () => ({
  ...world.deps,
  reloadKeys: ring.reload,
  upstream: undefined,
  verifySignature,
});
const issuing = () => ({
  ...world.deps,
  x509Authority: () => ring.x509Authorities().active,
  trustBundle: ring.trustBundle,
  verifySignature,
  reloadKeys: ring.reload,
  jwtAuthority: () => ring.jwtAuthorities().active,
});
type Issuing = ReturnType<typeof issuing>;

let made = 0;
async function anEntry(expiresAtMs?: number) {
  const agent = await world.agent(world.alice, world.operator, expiresAtMs);
  const entry = await createEntry(world.deps, {
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
  return { agent, entry: { ...entry, checksum: undefined } };
}

const grounds = (entry: MatchedEntry) =>
  ({ entry, node: undefined, attestation: "measured", context }) as const;
/** X.509-SVIDs of them, in order. @throws the first refusal */
async function issueAll(deps: Issuing, entries: readonly MatchedEntry[]) {
  const requests = entries.map((entry) => ({ ...grounds(entry), publicKey: newKeyPair().publicKey }));
  const outcomes = await issueX509Svids(deps, requests);
  return requests.map((request) => {
    const outcome = must(outcomes.get(request));
    if ("refused" in outcome) throw outcome.refused;
    return outcome.issued;
  });
}
const issue = {
  x509: async (deps: Issuing, entry: MatchedEntry) => must((await issueAll(deps, [entry]))[0]),
  jwt: (deps: Issuing, entry: MatchedEntry) =>
    issueJwtSvid(deps, { ...grounds(entry), audience: ["https://mail.example"] }),
};
const kinds = ["x509", "jwt"] as const;

/** Deps whose signing keys note that they were asked to sign. */
function watched(signed: string[]): Issuing {
  const deps = issuing();
  type Signer = { readonly sign: (message: Uint8Array) => Uint8Array };
  const noting = <Key extends Signer>(kind: string, key: Key): Key => ({
    ...key,
    sign: (message: Uint8Array) => {
      signed.push(kind);
      return key.sign(message);
    },
  });
  return {
    ...deps,
    x509Authority: () => noting("x509", deps.x509Authority()),
    jwtAuthority: () => noting("jwt", deps.jwtAuthority()),
  };
}

describe.each(kinds)("an SVID of kind %s", (kind) => {
  test("[SVI-006] is recorded with the hash of what is signed, and says nothing else than what was recorded", async () => {
    const { agent, entry } = await anEntry();
    const size = (await world.entries()).length;
    const svid = await issue[kind](issuing(), entry);
    const [recorded] = (await world.entries()).slice(size);
    expect(recorded).toMatchObject({
      type: "svid.issued",
      agent: agent.id,
      owner: world.alice,
      attestation: "measured",
    });
    const hash =
      "token" in svid
        ? claimsHash(decodeJwt(svid.token), sha256)
        : Buffer.from(sha256(readCertificate(svid.certificates[0] ?? new Uint8Array()).toBeSigned)).toString(
            "base64url",
          );
    expect(recorded?.claims_hash).toBe(hash);
    expect(JSON.stringify(recorded)).not.toContain("mail.example");
  });

  test("[SVI-006] is not signed where its entry could not be committed", async () => {
    const { entry } = await anEntry();
    const signed: string[] = [];
    const deps = { ...watched(signed), append: () => Promise.reject(new Error("the ledger is down")) };
    await expect(issue[kind](deps, entry)).rejects.toThrow("the ledger is down");
    expect(signed).toEqual([]);
  });

  test("[SVI-007] is refused, and that recorded, when agent, owner or entry ended after they were read", async () => {
    for (const end of ["agent", "owner", "entry"] as const) {
      const bob = await world.user("Bob");
      const agent = await world.agent(bob);
      const { entry: first } = await anEntry();
      const entry = { ...first, agent: agent.id };
      const client = await world.deps.findClient({ kind: "agent", organization, id: agent.id });
      if (end === "agent") await world.setStatus(agent, "suspended");
      if (end === "owner") await world.offboard(bob);
      if (end === "entry") {
        const found = (org: typeof organization, id: typeof entry.id) =>
          findEntry(world.db, trustDomain, org, id);
        await deleteEntry(
          { ...world.deps, findEntry: found },
          { caller: world.operator, entry: entry.id, context },
        );
      }
      const signed: string[] = [];
      const stale = { ...watched(signed), findClient: async () => client };
      await expect(issue[kind](stale, entry), end).rejects.toMatchObject({ code: "subject_not_active" });
      expect((await world.entries()).at(-1)).toMatchObject({ type: "svid.refused", agent: agent.id });
      expect(signed).toEqual([]);
    }
  });

  test("[SVI-006] whose signature does not verify is never given out", async () => {
    const { entry } = await anEntry();
    const deps = issuing();
    const badly = { sign: () => new Uint8Array(64).fill(1) };
    const wrong = {
      ...deps,
      verifySignature: () => false,
      jwtAuthority: () => ({ ...deps.jwtAuthority(), ...badly }),
    };
    await expect(issue[kind](wrong, entry)).rejects.toThrow();
  });

  test("[SVI-008] never outlives its agent", async () => {
    const { entry } = await anEntry(world.clock.nowMs + 90_000);
    const { expiresAtMs } = await issue[kind](issuing(), entry);
    expect(expiresAtMs).toBeLessThanOrEqual(world.clock.nowMs + 90_000);
  });
});

describe("an X.509-SVID", () => {
  test("[SVI-008] never outlives the authority that signs it", async () => {
    const { entry } = await anEntry();
    const deps = issuing();
    const short = { ...deps.x509Authority(), notAfterMs: world.clock.nowMs + 60_000 };
    const { expiresAtMs } = await issue.x509({ ...deps, x509Authority: () => short }, entry);
    expect(expiresAtMs).toBe(world.clock.nowMs + 60_000);
  });
});

test("[SVI-007] no SVID is signed by an authority that was tainted after it was read", async () => {
  const { entry } = await anEntry();
  const deps = issuing();
  const [x509, jwt] = [deps.x509Authority(), deps.jwtAuthority()];
  for (const id of [x509.id, jwt.kid]) await taintAuthority(authorityDeps(), { id, by, context });
  const stale = { ...deps, x509Authority: () => x509, jwtAuthority: () => jwt };
  for (const kind of kinds) {
    await expect(issue[kind](stale, entry)).rejects.toMatchObject({ code: "conflict" });
    expect(await issue[kind](issuing(), entry)).toMatchObject({
      restsOn: expect.arrayContaining([entry.id]),
    });
  }
  expect((await world.entries(systemLog)).at(-1)).toMatchObject({ type: "key.tainted" });
});
