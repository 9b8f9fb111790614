import { randomBytes } from "node:crypto";
import { claimsHash } from "@countersign/sdk/contract/claims-hash";
import { parseAgentChecksum } from "@countersign/sdk/model/agent-configuration";
import { newId } from "@countersign/sdk/model/ids";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MatchedEntry } from "../../src/domain/svid-holder.ts";
import { approveChecksum } from "../../src/journeys/agent/approve-checksum.ts";
import { withdrawChecksum } from "../../src/journeys/agent/withdraw-checksum.ts";
import { createEntry } from "../../src/journeys/entry/create.ts";
import { deleteEntry } from "../../src/journeys/entry/delete.ts";
import { evictNode } from "../../src/journeys/node/evict.ts";
import type { SvidProof } from "../../src/journeys/record/proof.ts";
import { issueJwtSvid } from "../../src/journeys/svid/issue-jwt.ts";
import { issueX509Svids } from "../../src/journeys/svid/issue-x509.ts";
import { exchangeToken } from "../../src/journeys/token/exchange.ts";
import { issueToken } from "../../src/journeys/token/issue.ts";
import { sha256 } from "../../src/ledger/sha256.ts";
import { findChecksum } from "../../src/store/agent-checksums.ts";
import { findEntry } from "../../src/store/registration-entries.ts";
import { forgetExpiredSvids } from "../../src/store/svids.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import { context, organization, sign, trustDomain } from "../journeys/server-process.ts";
import { openSvidAuthorities, type SvidAuthorities } from "../journeys/svid-authorities.ts";
import { type AgentPrincipal, errorOf, openWorld, type World } from "../journeys/world.ts";

// What an SVID rests on ends between the moment it is looked at and the commit that would issue a token for it.
let world: World;
let authorities: SvidAuthorities;
const [measured, other] = [checksumOf("a"), checksumOf("b")];

function checksumOf(digit: string) {
  return parseAgentChecksum(digit.repeat(64)) ?? expect.unreachable();
}

beforeAll(async () => {
  world = await openWorld();
  authorities = await openSvidAuthorities(world);
});
afterAll(async () => {
  await authorities.close();
  await world.close();
});

interface Held {
  readonly agent: AgentPrincipal;
  readonly entry: MatchedEntry;
  readonly node: ReturnType<typeof newNode>;
  readonly proofs: { readonly x509: SvidProof; readonly jwt: SvidProof };
}
const kinds = ["x509", "jwt"] as const;

const newNode = () => newId("node", world.clock.nowMs, randomBytes(16));

/** An agent with an SVID of each kind, which a node attested and measured. */
async function hold(): Promise<Held> {
  const node = newNode();
  const shared = { organizationId: organization, name: "n", attestation: "join_token", selectors: [] };
  const attestedAt = new Date(world.clock.nowMs);
  await world.db.prisma.node.create({
    data: { ...shared, id: node, subject: node, status: "active", attestedAt },
  });
  const expiresAt = new Date(world.clock.nowMs + 3_600_000);
  await world.db.prisma.nodeSvid.create({
    data: { id: node, organizationId: organization, nodeId: node, expiresAt, status: "used", index: 0n },
  });
  const agent = await world.agent(world.alice);
  const made = await createEntry(world.deps, {
    caller: world.operator,
    agent: agent.id,
    parent: node,
    selectors: ["unix:uid:1"],
    x509TtlSeconds: 3600,
    jwtTtlSeconds: 300,
    dnsNames: [],
    hint: undefined,
    federatesWith: [],
    context,
  });
  const entry = { ...made, checksum: measured };
  const grounds = { entry, node: { id: node, svid: node }, context } as const;
  const request = { ...grounds, publicKey: newKeyPair().publicKey };
  const outcome = (await issueX509Svids(authorities.issuing, [request])).get(request);
  if (outcome === undefined || "refused" in outcome) return expect.unreachable();
  const { certificates } = outcome.issued;
  const { serial, toBeSigned } = readCertificate(certificates[0] ?? expect.unreachable());
  const { token } = await issueJwtSvid(authorities.issuing, { ...grounds, audience: ["x"] });
  const claims = decodeJwt(token);
  const proofs = {
    x509: proofOf(Buffer.from(serial).toString("hex"), Buffer.from(sha256(toBeSigned)).toString("base64url")),
    jwt: proofOf(claims.jti ?? "", claimsHash(claims, sha256)),
  };
  return { agent, entry, node, proofs };
}

const proofOf = (id: string, hash: string): SvidProof => ({ kind: "svid", id, claimsHash: hash });

const provenBy = (restsOn: SvidProof) => ({ ...context, restsOn });

/** Asks with an SVID; `meanwhile` runs after it was looked at, before anything is issued. */
async function buy(
  how: (deps: World["hotDeps"], proof: SvidProof) => Promise<unknown>,
  proof: SvidProof,
  meanwhile?: () => Promise<unknown>,
): Promise<string> {
  const findSvid: World["hotDeps"]["findSvid"] = async (of, id) => {
    const found = await world.hotDeps.findSvid(of, id);
    await meanwhile?.();
    return found;
  };
  return how({ ...world.hotDeps, findSvid }, proof).then(
    () => "OK",
    (error: { readonly code?: string }) => error.code ?? String(error),
  );
}

const findChecksumIn: Parameters<typeof approveChecksum>[0]["findChecksum"] = (of, wanted) =>
  findChecksum(world.db, of, wanted);

const ends: Readonly<Record<string, (held: Held) => Promise<unknown>>> = {
  "its node was evicted": ({ node }) => evictNode(world.deps, { caller: world.operator, node, context }),
  "its entry was deleted": ({ entry }) =>
    deleteEntry(
      { ...world.deps, findEntry: (org, id) => findEntry(world.db, trustDomain, org, id) },
      { caller: world.operator, entry: entry.id, context },
    ),
  "the approval of its configuration was withdrawn": async ({ agent }) => {
    const deps = { ...world.deps, findChecksum: findChecksumIn };
    const request = { caller: world.operator, agent: agent.id, checksum: measured, context };
    await approveChecksum(deps, request);
    await withdrawChecksum(deps, request);
  },
};

/** Each way to a token, for an agent with a delegation and a token of another's that lists it onward. */
async function waysOf({ agent }: Held) {
  const delegation = await world.grant(world.alice, agent);
  const broker = await world.agent(world.alice);
  const target = { agent: agent.id, resource: world.mailboxAudience, scope: ["mail.read"] };
  const listing = await world.grant(world.alice, broker, { onward: [target] });
  const { claims } = await world.exchange(broker, listing);
  const asked = { client: agent, resource: world.mailboxAudience };
  const onward = await sign(claims);
  return {
    "for itself": (deps: World["hotDeps"], proof: SvidProof) =>
      issueToken(deps, { client: agent, context: provenBy(proof) }),
    "by its delegation": (deps: World["hotDeps"], proof: SvidProof) =>
      exchangeToken(deps, {
        ...asked,
        subjectToken: delegation,
        subjectTokenType: "urn:countersign:params:oauth:token-type:delegation",
        context: provenBy(proof),
      }),
    onward: (deps: World["hotDeps"], proof: SvidProof) =>
      exchangeToken(deps, {
        ...asked,
        subjectToken: onward,
        subjectTokenType: "urn:ietf:params:oauth:token-type:access_token",
        context: provenBy(proof),
      }),
  };
}

describe.each(Object.entries(ends))("[SVI-020] %s", (_, end) => {
  test.each(["for itself", "by its delegation", "onward"] as const)(
    "in the moment before a token %s was issued, which is not",
    async (way) => {
      for (const kind of kinds) {
        const held = await hold();
        const how = (await waysOf(held))[way];
        const before = (await world.entries()).length;
        expect(await buy(how, held.proofs[kind], () => end(held))).toBe("unauthenticated");
        const made = (await world.entries()).slice(before);
        expect(made.filter(({ type }) => type === "token.issued" || type === "delegation.created")).toEqual(
          [],
        );
        expect(made.at(-1)).toMatchObject({
          type: "token.refused",
          agent: held.agent.id,
          attestation: "measured",
          refusal: { code: "unauthenticated" },
        });
      }
    },
  );

  test("before that it bought a token, and after it the refusals are counted, not written one by one", async () => {
    const held = await hold();
    const how = (await waysOf(held))["for itself"];
    expect(await buy(how, held.proofs.jwt)).toBe("OK");
    await end(held);
    const before = (await world.entries()).length;
    for (let i = 0; i < 5; i++) expect(await buy(how, held.proofs.jwt)).toBe("unauthenticated");
    expect(await world.entries()).toHaveLength(before + 1);
  });
});

describe("[SVI-021] an SVID that an authority of ours signed buys nothing", () => {
  const unrecorded = "no record tells of this SVID";

  test.each<[string, (held: Held, another: Held) => SvidProof]>([
    ["that was never recorded", () => proofOf("00".repeat(20), "x")],
    ["of the number of another SVID", ({ proofs }) => proofOf(proofs.x509.id, "another")],
    ["of another agent", (_, { proofs }) => proofs.x509],
  ])("%s", async (_, forged) => {
    const [held, another] = [await hold(), await hold()];
    const how = (await waysOf(held))["by its delegation"];
    const error = await errorOf(how(world.hotDeps, forged(held, another)));
    expect(error.name).toBe("DomainError");
    expect(error.code).toBe("unauthenticated");
    expect(JSON.stringify(error.publicDetail)).not.toContain("record");
    expect((await world.entries()).at(-1)).toMatchObject({ refusal: { reason: unrecorded } });
  });
});

test("[SVI-020] what an SVID rests on is forgotten only a while after it has ended", async () => {
  const held = await hold();
  const { id } = held.proofs.jwt;
  const kept = () => world.hotDeps.findSvid(organization, id);
  const endMs = world.clock.nowMs + 300_000;
  await forgetExpiredSvids(world.db, new Date(endMs + 5 * 60_000));
  expect(await kept()).toMatchObject({ agent: held.agent.id, entry: held.entry.id, node: held.node });
  await forgetExpiredSvids(world.db, new Date(endMs + 11 * 60_000));
  expect(await kept()).toBeUndefined();
});

test("[SVI-020] a configuration that is still approved is not in the way", async () => {
  const held = await hold();
  const deps = { ...world.deps, findChecksum: findChecksumIn };
  const request = { caller: world.operator, agent: held.agent.id, context };
  await approveChecksum(deps, { ...request, checksum: measured });
  await approveChecksum(deps, { ...request, checksum: other });
  await withdrawChecksum(deps, { ...request, checksum: other });
  expect(await buy((await waysOf(held))["for itself"], held.proofs.x509)).toBe("OK");
});
