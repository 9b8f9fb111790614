import { claimsHash } from "@countersign/sdk/contract/claims-hash";
import { entryBytesMax } from "@countersign/sdk/contract/ledger-entry";
import { parseAgentChecksum } from "@countersign/sdk/model/agent-configuration";
import { logOf, newId, systemLog } from "@countersign/sdk/model/ids";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MatchedEntry } from "../../src/domain/svid-holder.ts";
import { createEntry } from "../../src/journeys/entry/create.ts";
import { deleteEntry } from "../../src/journeys/entry/delete.ts";
import { taintAuthority } from "../../src/journeys/keys/taint.ts";
import { issueJwtSvid, issueJwtSvids } from "../../src/journeys/svid/issue-jwt.ts";
import { issueX509Svids } from "../../src/journeys/svid/issue-x509.ts";
import { sha256 } from "../../src/ledger/sha256.ts";
import { addAgentEntries, readAgentHistory } from "../../src/store/agent-entries.ts";
import { findEntry } from "../../src/store/registration-entries.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import { context, must, organization, trustDomain } from "./server-process.ts";
import { openSvidAuthorities, type SvidAuthorities } from "./svid-authorities.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
let authorities: SvidAuthorities;
const by = { kind: "system", id: "test" } as const;

beforeAll(async () => {
  world = await openWorld();
  authorities = await openSvidAuthorities(world);
});
afterAll(async () => {
  await authorities.close();
  await world.close();
});

type Issuing = SvidAuthorities["issuing"];

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

const grounds = (entry: MatchedEntry) => ({ entry, node: undefined, context }) as const;
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
  const deps = authorities.issuing;
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
    const svid = await issue[kind](authorities.issuing, entry);
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
    const { agent, entry } = await anEntry();
    const deps = authorities.issuing;
    const badly = { sign: () => new Uint8Array(64).fill(1) };
    const wrong = {
      ...deps,
      verifySignature: () => false,
      jwtAuthority: () => ({ ...deps.jwtAuthority(), ...badly }),
    };
    await expect(issue[kind](wrong, entry)).rejects.toThrow(VerificationError);
    expect((await world.entries()).at(-1)).toMatchObject({ type: "svid.issued", agent: agent.id });
  });

  test("[SVI-008] never outlives its agent", async () => {
    const { entry } = await anEntry(world.clock.nowMs + 90_000);
    const { expiresAtMs } = await issue[kind](authorities.issuing, entry);
    expect(expiresAtMs).toBeLessThanOrEqual(world.clock.nowMs + 90_000);
  });
});

describe("an X.509-SVID", () => {
  test("[SVI-008] never outlives the authority that signs it", async () => {
    const { entry } = await anEntry();
    const deps = authorities.issuing;
    const short = { ...deps.x509Authority(), notAfterMs: world.clock.nowMs + 60_000 };
    const { expiresAtMs } = await issue.x509({ ...deps, x509Authority: () => short }, entry);
    expect(expiresAtMs).toBe(world.clock.nowMs + 60_000);
  });
});

test("[SVI-007] no SVID is signed by an authority that was tainted after it was read", async () => {
  const { entry } = await anEntry();
  const deps = authorities.issuing;
  const [x509, jwt] = [deps.x509Authority(), deps.jwtAuthority()];
  for (const id of [x509.id, jwt.kid]) await taintAuthority(authorities.keeping, { id, by, context });
  const stale = { ...deps, x509Authority: () => x509, jwtAuthority: () => jwt };
  for (const kind of kinds) {
    await expect(issue[kind](stale, entry)).rejects.toMatchObject({ code: "conflict" });
    expect(await issue[kind](authorities.issuing, entry)).toMatchObject({
      restsOn: expect.arrayContaining([entry.id]),
    });
  }
  expect((await world.entries(systemLog)).at(-1)).toMatchObject({ type: "key.tainted" });
});

describe("JWT-SVIDs that are issued together", () => {
  const wanted = (entry: MatchedEntry, count: number) =>
    Array.from({ length: count }, (_, place) => ({
      ...grounds(entry),
      audience: [`https://${place}.example`],
    }));

  test("[SVI-030] are one entry, which says of each what an entry of its own would", async () => {
    const { agent, entry } = await anEntry();
    const size = (await world.entries()).length;
    const requests = wanted(entry, 3);
    const outcomes = await issueJwtSvids(authorities.issuing, requests);
    const tokens = requests.map((request) => {
      const outcome = must(outcomes.get(request));
      return "issued" in outcome ? outcome.issued.token : expect.unreachable();
    });
    expect(tokens.map((token) => decodeJwt(token).aud)).toEqual(requests.map(({ audience }) => audience));
    expect((await world.entries()).slice(size)).toMatchObject([
      {
        type: "svid.issued",
        actor: { kind: "system", id: "workload-api" },
        detail: { svid: "jwt", authority: authorities.issuing.jwtAuthority().kid },
        svids: tokens.map((token) => {
          const { jti, aud, exp } = decodeJwt(token);
          return {
            agent: agent.id,
            owner: world.alice,
            entry: entry.id,
            jti,
            audience_hash: claimsHash({ aud }),
            claims_hash: claimsHash(decodeJwt(token)),
            expires_at: new Date(Number(exp) * 1000).toISOString(),
          };
        }),
      },
    ]);
  });

  test("[SVI-030] fill several entries where they are too many for one, each far below its bound", async () => {
    const { entry: bare } = await anEntry();
    const entry = { ...bare, checksum: must(parseAgentChecksum("a".repeat(64))) };
    const size = (await world.entries()).length;
    await issueJwtSvids(authorities.issuing, wanted(entry, 65));
    const recorded = (await world.entries()).slice(size);
    expect(recorded.map(({ svids = [] }) => svids.length).sort((a, b) => b - a)).toEqual([64, 0]);
    const sizes = recorded.map((one) => JSON.stringify(one).length);
    expect(Math.max(...sizes)).toBeLessThan(entryBytesMax / 2);
  });

  test("[SVI-007] are refused, and that recorded, when their agent ended after it was read", async () => {
    const { agent, entry } = await anEntry();
    const client = await world.deps.findClient({ kind: "agent", organization, id: agent.id });
    await world.setStatus(agent, "suspended");
    const signed: string[] = [];
    const stale = { ...watched(signed), findClient: async () => client };
    const outcomes = await issueJwtSvids(stale, wanted(entry, 3));
    expect([...outcomes.values()]).toMatchObject(Array(3).fill({ refused: { code: "subject_not_active" } }));
    expect((await world.entries()).at(-1)).toMatchObject({ type: "svid.refused", agent: agent.id });
    expect(signed).toEqual([]);
  });
});

describe("X.509-SVIDs that are issued together", () => {
  test("[SVI-030] are one entry, which says of each what an entry of its own would, and is found by each agent", async () => {
    const made = [await anEntry(), await anEntry(), await anEntry()];
    const size = (await world.entries()).length;
    const svids = await issueAll(
      authorities.issuing,
      made.map(({ entry }) => entry),
    );
    const recorded = (await world.entries()).slice(size);
    expect(recorded).toMatchObject([
      {
        type: "svid.issued",
        actor: { kind: "system", id: "workload-api" },
        attestation: "measured",
        svids: made.map(({ agent, entry }, place) => {
          const leaf = readCertificate(must(svids[place]?.certificates[0]));
          return {
            agent: agent.id,
            owner: world.alice,
            entry: entry.id,
            claims_hash: Buffer.from(sha256(leaf.toBeSigned)).toString("base64url"),
            expires_at: new Date(must(svids[place]).expiresAtMs).toISOString(),
          };
        }),
      },
    ]);
    const log = logOf(organization);
    const batch = { follower: "agent-history", log, from: 0, to: size + 1 } as const;
    expect(await addAgentEntries(world.db, batch)).toBe(true);
    for (const { agent } of made) {
      const { entries } = await readAgentHistory(world.db, log, agent.id, { limit: 1 });
      expect(entries.map(({ index }) => index)).toEqual([size]);
    }
  });

  test("[SVI-030] fill several entries where they are too many for one, each far below its bound", async () => {
    const { entry } = await anEntry();
    const size = (await world.entries()).length;
    await issueAll(authorities.issuing, Array<typeof entry>(130).fill(entry));
    const recorded = (await world.entries()).slice(size);
    expect(recorded.map(({ svids = [] }) => svids.length).sort((a, b) => b - a)).toEqual([64, 64, 2]);
    const sizes = recorded.map((one) => JSON.stringify(one).length);
    expect(Math.max(...sizes)).toBeLessThan(entryBytesMax / 2);
  });

  test("[SVI-031] are issued without those of which something ended after it was read, each of which is refused in its agent's name", async () => {
    const made = [await anEntry(), await anEntry(), await anEntry(), await anEntry()];
    const clients = new Map(
      await Promise.all(
        made.map(
          async ({ agent }) =>
            [agent.id, await world.deps.findClient({ kind: "agent", organization, id: agent.id })] as const,
        ),
      ),
    );
    const stopped = [must(made[1]).agent, must(made[3]).agent];
    for (const agent of stopped) await world.setStatus(agent, "suspended");
    const size = (await world.entries()).length;
    const signed: string[] = [];
    const stale: Issuing = {
      ...watched(signed),
      findClient: async (principal) => clients.get(principal.id as (typeof stopped)[number]["id"]),
    };
    const requests = made.map(({ entry }) => ({ ...grounds(entry), publicKey: newKeyPair().publicKey }));
    const outcomes = await issueX509Svids(stale, requests);
    expect(
      requests.map((request) => {
        const outcome = must(outcomes.get(request));
        return "refused" in outcome ? outcome.refused.code : "issued";
      }),
    ).toEqual(["issued", "subject_not_active", "issued", "subject_not_active"]);
    expect(signed).toHaveLength(2);
    const recorded = (await world.entries()).slice(size);
    const refusals = recorded.filter(({ type, agent }) => type === "svid.refused" && agent !== undefined);
    expect(new Set(refusals.map(({ agent }) => agent))).toEqual(new Set(stopped.map(({ id }) => id)));
    const issued = recorded.filter(({ type }) => type === "svid.issued");
    expect(issued.flatMap(({ svids = [] }) => svids.map(({ agent }) => agent))).toEqual(
      [made[0], made[2]].map((one) => one?.agent.id),
    );
  });

  test("[SVI-032] and JWT-SVIDs are asked for once more where their authority alone was tainted, and by nothing else", async () => {
    const made = [await anEntry(), await anEntry()];
    const deps = authorities.issuing;
    const [x509, jwt] = [deps.x509Authority(), deps.jwtAuthority()];
    for (const id of [x509.id, jwt.kid]) await taintAuthority(authorities.keeping, { id, by, context });
    let reloads = 0;
    const behind: Issuing = {
      ...deps,
      x509Authority: () => (reloads === 0 ? x509 : authorities.ring.x509Authorities().active),
      jwtAuthority: () => (reloads === 0 ? jwt : authorities.ring.jwtAuthorities().active),
      reloadKeys: async () => {
        reloads++;
        await authorities.ring.reload();
      },
    };
    const entries = made.map(({ entry }) => entry);
    expect(await issueAll(behind, entries)).toHaveLength(2);
    expect(reloads).toBe(1);
    reloads = 0;
    expect(await issue.jwt(behind, must(entries[0]))).toMatchObject({ spiffeId: entries[0]?.spiffeId });
    expect(reloads).toBe(1);
    await world.setStatus(must(made[0]).agent, "suspended");
    await expect(issue.jwt(behind, must(entries[0]))).rejects.toMatchObject({ code: "subject_not_active" });
    expect(reloads).toBe(1);
  });
});

test.each(kinds)(
  "[SVI-033] no SVID of kind %s is issued by the word of who is not the entry's parent",
  async (kind) => {
    const { entry } = await anEntry();
    const node = newId("node", 1, new Uint8Array(16));
    const signed: string[] = [];
    const deps = { ...watched(signed) };
    const asked = { ...grounds(entry), node: { id: node, svid: "00" } };
    const outcome =
      kind === "jwt"
        ? issueJwtSvid(deps, { ...asked, audience: ["https://mail.example"] })
        : issueX509Svids(deps, [{ ...asked, publicKey: newKeyPair().publicKey }]).then((outcomes) => {
            for (const one of outcomes.values()) if ("refused" in one) throw one.refused;
          });
    await expect(outcome).rejects.toMatchObject({ code: "subject_not_active" });
    expect((await world.entries()).at(-1)?.refusal?.reason).toContain(`${entry.id} active below ${node}`);
    expect(signed).toEqual([]);
  },
);
